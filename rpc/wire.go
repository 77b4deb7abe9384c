package rpc

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wireOptions are how everything is written. Raw values that come from
// elsewhere lose line breaks and bytes that are not UTF-8 on the way, and may
// hold a name twice: one such value must not cost a whole message. Maps are
// sorted, so that equal values give equal lines.
var wireOptions = json.JoinOptions(
	json.Deterministic(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// cutLine returns the first line of data with its ending, and the rest.
func cutLine(data []byte) (line, rest []byte) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return data[:i+1], data[i+1:]
	}
	return data, nil
}

// encodeResult writes the line {"id":..,"result":..}. The id is JSON text.
func encodeResult(buf *bytes.Buffer, id []byte, result any) error {
	buf.WriteString(`{"id":`)
	buf.Write(id)
	buf.WriteString(`,"result":`)
	if err := json.MarshalWrite(buf, result, wireOptions); err != nil {
		return err
	}
	buf.WriteString("}\n")
	return nil
}

// encodeNotification writes the line {"method":..,"params":..}; nil params are
// left out.
func encodeNotification(buf *bytes.Buffer, method string, params any) error {
	buf.WriteString(`{"method":`)
	buf.Write(appendQuote(buf.AvailableBuffer(), method))
	if params != nil {
		buf.WriteString(`,"params":`)
		if err := json.MarshalWrite(buf, params, wireOptions); err != nil {
			return err
		}
	}
	buf.WriteString("}\n")
	return nil
}

// appendFailure appends the line {"error":{..},"id":..}. The id is JSON text.
// Data that is no JSON is left out: the error is worth more than its details.
func appendFailure(dst, id []byte, e *Error) []byte {
	dst = append(dst, `{"error":{"code":`...)
	dst = strconv.AppendInt(dst, e.Code, 10)
	dst = append(dst, `,"message":`...)
	dst = appendQuote(dst, e.Message)
	if len(e.Data) > 0 {
		if data, err := json.Marshal(e.Data, wireOptions); err == nil {
			dst = append(dst, `,"data":`...)
			dst = append(dst, data...)
		}
	}
	dst = append(dst, `},"id":`...)
	dst = append(dst, id...)
	return append(dst, "}\n"...)
}

// appendCall appends the line {"method":..,"id":..,"params":..}; empty params
// are left out. The order of the members is the reference's.
func appendCall(dst []byte, method string, id uint64, params []byte) []byte {
	dst = append(dst, `{"method":`...)
	dst = appendQuote(dst, method)
	dst = append(dst, `,"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	if len(params) > 0 {
		dst = append(dst, `,"params":`...)
		dst = append(dst, params...)
	}
	return append(dst, "}\n"...)
}

// appendQuote appends s as a JSON string. Its only error is invalid UTF-8,
// which has become U+FFFD by then.
func appendQuote(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
