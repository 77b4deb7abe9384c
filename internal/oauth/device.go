package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"app-server/internal/redact"
	"app-server/protocol"
)

const (
	// deviceTime is how long a device code may take where the provider says
	// nothing shorter, as in the reference.
	deviceTime = 15 * time.Minute
	// pollDefault and pollLeast are the pauses between two questions.
	pollDefault = 5 * time.Second
	pollLeast   = time.Second
	// pollSlower is what a provider that asks to slow down gets on top (RFC 8628).
	pollSlower = 5 * time.Second
	// pollFaults is how many questions in a row may come to nothing for a
	// passing reason.
	pollFaults = 5
)

// DeviceLogin is one sign-in by device code: the person types UserCode at
// VerificationURL, on any device.
type DeviceLogin struct {
	VerificationURL string
	UserCode        string

	client   *Client
	id       protocol.Secret // names this login to the provider
	interval time.Duration
	lasts    time.Duration // from the start of Wait
}

// StartDevice asks for a code. The error is a *Fault; its reason is
// ReasonNoDeviceCode where the provider does not offer this.
func (c *Client) StartDevice(ctx context.Context) (*DeviceLogin, error) {
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	status, body, err := c.post(ctx, c.at.Issuer+"/api/accounts/deviceauth/usercode", map[string]string{"client_id": c.at.ClientID})
	switch {
	case err != nil:
		return nil, unreachable(err)
	case status == http.StatusNotFound:
		return nil, &Fault{Reason: ReasonNoDeviceCode, Status: status, Message: "the sign-in provider offers no device codes; use the browser"}
	case status != http.StatusOK:
		return nil, &Fault{Reason: ReasonUnavailable, Status: status, Message: fmt.Sprintf("the request for a device code was answered with status %d", status)}
	}
	var a struct {
		ID        protocol.Secret `json:"device_auth_id"`
		UserCode  string          `json:"user_code"`
		Older     string          `json:"usercode"`
		Interval  jsontext.Value  `json:"interval"`
		ExpiresIn jsontext.Value  `json:"expires_in"`
	}
	if decode(body, &a) != nil {
		return nil, errDeviceAnswer(status)
	}
	d := &DeviceLogin{client: c, VerificationURL: c.at.Issuer + "/codex/device", UserCode: cmp.Or(a.UserCode, a.Older), id: a.ID, lasts: deviceTime}
	if d.UserCode == "" || d.id.IsEmpty() {
		return nil, errDeviceAnswer(status)
	}
	d.interval = max(seconds(a.Interval, pollDefault), pollLeast)
	if lasts := seconds(a.ExpiresIn, deviceTime); lasts > 0 {
		d.lasts = min(lasts, deviceTime)
	}
	return d, nil
}

func errDeviceAnswer(status int) *Fault {
	return &Fault{Reason: ReasonAnswer, Status: status, Message: "the answer to the request for a device code cannot be used"}
}

// seconds reads a number, or the text of one, of seconds: the reference's
// provider sends a text.
func seconds(v jsontext.Value, other time.Duration) time.Duration {
	n, err := strconv.ParseFloat(strings.Trim(string(v), `" `), 64)
	if err != nil || !(n >= 0 && n <= deviceTime.Seconds()) { // so that NaN is none either
		return other
	}
	return time.Duration(n * float64(time.Second))
}

// Wait asks the provider again and again until the person has signed in, and
// returns the tokens. The error is a *Fault, or ctx's cause.
func (d *DeviceLogin) Wait(ctx context.Context) (Tokens, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.lasts, &Fault{Reason: ReasonTimeout, Message: "the device code has expired"})
	defer cancel()
	pause, faults := d.interval, 0
	for {
		code, verifier, next, err := d.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return Tokens{}, context.Cause(ctx)
		case err == nil && next == pollDone:
			return d.client.exchange(ctx, code, verifier, d.client.at.Issuer+"/deviceauth/callback")
		case err == nil:
			faults = 0
			if next == pollSlow {
				pause += pollSlower
			}
		default:
			if f, ok := errors.AsType[*Fault](err); !ok || f.Reason != ReasonUnavailable {
				return Tokens{}, err
			}
			if faults++; faults >= pollFaults {
				return Tokens{}, err
			}
			d.client.log.Debug("question for the device code came to nothing", zap.Error(err))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Tokens{}, context.Cause(ctx)
		}
	}
}

// pollNext is what follows a question.
type pollNext int

const (
	pollAgain pollNext = iota // nobody has signed in yet
	pollSlow                  // nor that, and the questions come too fast
	pollDone
)

// poll asks once. Pending is 403 or 404, as in the reference; a provider that
// follows RFC 8628 says it in words.
func (d *DeviceLogin) poll(ctx context.Context) (code, verifier protocol.Secret, next pollNext, err error) {
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	status, body, err := d.client.post(ctx, d.client.at.Issuer+"/api/accounts/deviceauth/token",
		map[string]string{"device_auth_id": d.id.Reveal(), "user_code": d.UserCode})
	if err != nil {
		return code, verifier, 0, unreachable(err)
	}
	if status == http.StatusOK {
		var a struct {
			Code     protocol.Secret `json:"authorization_code"`
			Verifier protocol.Secret `json:"code_verifier"`
		}
		if decode(body, &a) != nil || a.Code.IsEmpty() || a.Verifier.IsEmpty() {
			return code, verifier, 0, &Fault{Reason: ReasonAnswer, Status: status, Message: "the provider's answer to the device code cannot be used"}
		}
		return a.Code, a.Verifier, pollDone, nil
	}
	s := readRefusal(body, redact.New(d.id))
	switch {
	case s.code == "slow_down", status == http.StatusTooManyRequests:
		return code, verifier, pollSlow, nil
	case s.code == "expired_token":
		return code, verifier, 0, &Fault{Reason: ReasonTimeout, Status: status, Message: "the device code has expired"}
	case s.code == "access_denied":
		return code, verifier, 0, &Fault{Reason: ReasonDenied, Status: status, Message: "the sign-in was declined"}
	case s.code == "authorization_pending", status == http.StatusForbidden, status == http.StatusNotFound:
		return code, verifier, pollAgain, nil
	case status >= 500:
		return code, verifier, 0, &Fault{Reason: ReasonUnavailable, Status: status, Message: fmt.Sprintf("the provider answered with status %d", status)}
	}
	return code, verifier, 0, &Fault{Reason: ReasonDenied, Status: status, Message: fmt.Sprintf("the provider refused the device code with status %d", status)}
}
