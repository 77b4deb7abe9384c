package backend

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"

	"app-server/internal/redact"
)

// maxZstdWindow bounds what a zstd frame may make the decoder keep. RFC 8878
// has decoders support 8 MiB.
const maxZstdWindow = 16 << 20

// decoded undoes the body's content encoding. None is asked for, but proxies
// and backends send some all the same. Nothing is read before the first Read.
func decoded(response *http.Response, raw io.Reader) (io.Reader, error) {
	if response.Uncompressed { // the transport did it
		return raw, nil
	}
	body := raw
	names := strings.Split(strings.Join(response.Header.Values("Content-Encoding"), ","), ",")
	for i := len(names) - 1; i >= 0; i-- { // the last one was applied last
		inner := body
		switch name := strings.ToLower(strings.TrimSpace(names[i])); name {
		case "", "identity":
		case "gzip", "x-gzip":
			body = &lazyReader{open: func() (io.Reader, error) { return gzip.NewReader(inner) }}
		case "deflate":
			body = &lazyReader{open: func() (io.Reader, error) { return openDeflate(inner) }}
		case "zstd":
			body = &lazyReader{open: func() (io.Reader, error) {
				// One at a time: no goroutines, and each block is handed on as
				// soon as it is there.
				return zstd.NewReader(inner, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
			}}
		default:
			return nil, fmt.Errorf("the content encoding %q is not supported", tidy(name, redact.Redactor{}))
		}
	}
	return body, nil
}

// lazyReader opens its decoder at the first read, because opening one waits
// for the first bytes.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
	err  error
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil && l.err == nil {
		l.r, l.err = l.open()
		if errors.Is(l.err, io.EOF) {
			l.err = io.EOF // an empty body
		}
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.r.Read(p)
	if err != nil {
		l.err = err
		if z, ok := l.r.(*zstd.Decoder); ok {
			z.Close()
		}
	}
	return n, err
}

// openDeflate takes both things that are sent under this name: zlib, which the
// standard means, and bare deflate.
func openDeflate(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}
