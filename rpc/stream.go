package rpc

import (
	"encoding/json"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sourcegraph/jsonrpc2"
	"go.uber.org/zap"
)

// lineField is the extra field under which a line travels through the library
// beside the request that stands for it.
const lineField = "line"

// stream is the [jsonrpc2.ObjectStream]: lines in and out on one side, stubs
// of messages on the side of the library.
//
// ReadObject, onRecv and the handler run one after the other on the library's
// reading goroutine, the dispatcher; cur is theirs. onSend and WriteObject run
// under the library's sending lock, one right after the other; out is theirs.
// A test pins both.
type stream struct {
	log    *zap.Logger
	limit  int
	reader *lineReader
	box    *outbox

	ready chan struct{} // closed when the library's Conn may be used
	ended chan struct{} // closed when all lines of the input have been dealt with
	over  chan struct{} // closed by the shutdown: ReadObject returns io.EOF
	going chan struct{} // closed when Close begins
	shut  chan struct{} // closed when Close has written everything out
	wake  chan struct{} // one signal: abandoned is not empty

	left    *patience // for writing out; set before over is closed
	readErr error     // why the input ended; set before ended is closed

	leftOver  atomic.Bool // abandoned is not empty
	mu        sync.Mutex
	abandoned []uint64 // ids of asks whose callers left, guarded by mu

	chunks chan chunk // nil after the end
	whole  []byte     // the chunk under way
	rest   []byte     // what of it has not been looked at
	class  *classifier
	cur    message

	out []byte
}

func newStream(in io.Reader, box *outbox, limit int, done <-chan struct{}, log *zap.Logger) *stream {
	s := &stream{log: log, limit: limit, reader: newLineReader(in, limit, done), box: box, class: newClassifier(),
		ready: make(chan struct{}), ended: make(chan struct{}), over: make(chan struct{}),
		going: make(chan struct{}), shut: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.chunks = s.reader.chunks
	return s
}

// Stubs that the library decodes in place of messages.
var (
	stubRequest      = []byte(`{"id":0,"method":""}`)
	stubNotification = []byte(`{"method":""}`)
)

// ReadObject waits for the next line that is a message, puts it in cur and
// gives the library a stub of it. Bad lines are answered and passed over. It
// returns io.EOF when the shutdown says so, and no other error: that would be
// the end of the connection without a drain.
func (s *stream) ReadObject(v any) error {
	<-s.ready
	for {
		m, ok := s.next()
		if !ok {
			return io.EOF
		}
		var stub []byte
		switch m.kind {
		case kindBlank:
			continue
		case kindRequest:
			stub = stubRequest
		case kindNotification:
			stub = stubNotification
		case kindAnswer, kindAbandoned:
			if m.num < 0 {
				s.log.Debug("answer to no open request")
				continue
			}
			stub = strconv.AppendInt([]byte(`{"result":0,"id":`), m.num, 10)
			stub = append(stub, '}')
		case kindStray:
			s.log.Debug("answer to no open request")
			continue
		case kindBad:
			s.refuse(m)
			continue
		}
		s.cur = m
		return v.(json.Unmarshaler).UnmarshalJSON(stub)
	}
}

// refuse answers a bad line. The answer goes past the library, whose ids
// cannot be null.
func (s *stream) refuse(m message) {
	s.log.Debug("bad line", zap.String("why", m.fault.Message), zap.Int("bytes", m.size), zap.Bool("id", m.id != nil))
	id := m.id
	if id == nil {
		id = []byte("null")
	}
	// A closed outbox means that there is nobody left to tell.
	_ = s.box.append(appendFailure(nil, id, m.fault))
}

// next returns the next line, classified; false at the end of everything.
func (s *stream) next() (message, bool) {
	for {
		if s.leftOver.Load() {
			if id, ok := s.takeAbandoned(); ok {
				return message{kind: kindAbandoned, num: int64(id)}, true
			}
		}
		if len(s.rest) > 0 {
			var line []byte
			line, s.rest = cutLine(s.rest)
			line = trimLine(line)
			if len(line) > s.limit {
				return s.long(line[:min(len(line), prefixSize)], len(line)), true
			}
			m := s.class.classify(line)
			m.size = len(line)
			return m, true
		}
		s.recycle()
		select {
		case <-s.over:
			return message{}, false
		default:
		}
		select {
		case c := <-s.chunks:
			switch {
			case c.err != nil:
				if c.err != io.EOF {
					s.readErr = c.err
				}
				s.chunks = nil
				close(s.ended)
			case c.long > 0:
				return s.long(c.data, c.long), true
			default:
				s.whole, s.rest = c.data, c.data
			}
		case <-s.wake:
		case <-s.over:
			return message{}, false
		}
	}
}

func (s *stream) long(prefix []byte, size int) message {
	m := s.class.classifyLong(prefix)
	m.size = size
	s.log.Warn("line over the limit", zap.Int("bytes", size), zap.Int("limit", s.limit))
	return m
}

// recycle gives the chunk back; nothing refers to its lines any more.
func (s *stream) recycle() {
	if s.whole == nil {
		return
	}
	s.cur = message{}
	s.class.forget()
	s.reader.giveBack(s.whole)
	s.whole, s.rest = nil, nil
}

// abandon makes the library forget the ask with this id, whose caller has
// left. The library would keep it until an answer comes, and a parent that
// never answers would cost memory for every question.
func (s *stream) abandon(id uint64) {
	s.mu.Lock()
	s.abandoned = append(s.abandoned, id)
	s.leftOver.Store(true)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) takeAbandoned() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.abandoned) - 1
	if last < 0 {
		s.leftOver.Store(false)
		return 0, false
	}
	id := s.abandoned[last]
	s.abandoned = s.abandoned[:last]
	return id, true
}

// onRecv puts what the line said in the place of the stub. Requests need
// nothing: the dispatcher reads cur.
func (s *stream) onRecv(req *jsonrpc2.Request, resp *jsonrpc2.Response) {
	switch {
	case resp == nil:
	case req == nil:
		if s.cur.kind != kindAbandoned {
			s.log.Debug("answer to no open request")
		}
	case s.cur.kind == kindAnswer:
		askOf(req).deliver(s.cur.result, s.cur.failed)
	}
}

// onSend finds the line that the message stands for. The id of an ask is known
// only here.
func (s *stream) onSend(req *jsonrpc2.Request, resp *jsonrpc2.Response) {
	switch {
	case resp != nil:
		s.out = *resp.Result
	case req.Notif:
		s.out = req.ExtraFields[0].Value.([]byte)
	default:
		a := askOf(req)
		a.id = req.ID.Num
		s.out = appendCall(nil, a.method, a.id, a.params)
	}
}

// WriteObject queues the line that onSend has found. It never waits.
func (s *stream) WriteObject(any) error {
	line := s.out
	s.out = nil
	return s.box.append(line)
}

// Close writes the outbox out, as long as there is time left. The library
// calls it once.
func (s *stream) Close() error {
	close(s.going)
	s.box.close(s.left)
	close(s.shut)
	return nil
}

// finish makes ReadObject return io.EOF, which closes the library's Conn and
// with it this stream.
func (s *stream) finish(left *patience) {
	s.left = left
	close(s.over)
}
