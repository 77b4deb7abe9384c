package fake

import (
	"context"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// memoryHost is the name under which an in-memory backend is reached. The
// .test domain never resolves, so a request that misses the transport fails.
const memoryHost = "backend.test"

// errRefused is what a real dial to a closed port gives.
var errRefused error = syscall.ECONNREFUSED

// memoryListener hands out the server's ends of net.Pipe connections.
type memoryListener struct {
	addr   memoryAddr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	onDone func() // runs at Close; nil for nothing
}

func newMemoryListener(addr string) *memoryListener {
	return &memoryListener{addr: memoryAddr(addr), conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *memoryListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		if l.onDone != nil {
			l.onDone()
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *memoryListener) Addr() net.Addr { return l.addr }

func (l *memoryListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: l.Addr(), Err: errRefused}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type memoryAddr string

func (memoryAddr) Network() string  { return "tcp" }
func (a memoryAddr) String() string { return string(a) }

// firstFreePort is what a memory listener for any port gets first.
const firstFreePort = 40000

// memoryPorts are the ports of 127.0.0.1, in memory. It is safe for concurrent
// use.
type memoryPorts struct {
	mu   sync.Mutex
	open map[string]*memoryListener // by port; guarded by mu
}

// listen is net.Listen for tcp on 127.0.0.1.
func (p *memoryPorts) listen(network, address string) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[string]*memoryListener{}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "127.0.0.1" {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: memoryAddr(address), Err: syscall.EADDRNOTAVAIL}
	}
	for n := firstFreePort; port == "0"; n++ {
		if p.open[strconv.Itoa(n)] == nil {
			port = strconv.Itoa(n)
		}
	}
	if p.open[port] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: memoryAddr(address), Err: syscall.EADDRINUSE}
	}
	l := newMemoryListener(net.JoinHostPort(host, port))
	l.onDone = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, port)
	}
	p.open[port] = l
	return l, nil
}

func (p *memoryPorts) dial(ctx context.Context, host, port string) (net.Conn, error) {
	p.mu.Lock()
	l := p.open[port]
	p.mu.Unlock()
	if l == nil || host != "localhost" && host != "127.0.0.1" {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: memoryAddr(net.JoinHostPort(host, port)), Err: errRefused}
	}
	return l.dial(ctx)
}
