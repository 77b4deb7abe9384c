package session

import (
	"errors"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"app-server/internal/backend"
	"app-server/internal/config"
	"app-server/internal/rollout"
	"app-server/internal/tools"
	"app-server/protocol"
)

// respond gets one whole response of the model. Calls in it are left in u.calls.
// Finished items of a broken attempt stay in the conversation, and calls among
// them are answered before the next attempt; what was half streamed is dropped
// from it.
func (u *turn) respond() error {
	err := u.persist(u.attempt)
	if err == nil {
		u.kit.TellDiff()
	}
	if tooLong(err) {
		u.overflowed()
	}
	return err
}

// persist gets one whole response, over as many attempts as the provider's
// stream_max_retries allows.
func (u *turn) persist(attempt func() (*backend.Completed, error)) error {
	if err := u.provider.Err; err != nil {
		return &failure{kind: protocol.KindOther, message: "The model provider cannot be used: " + err.Error(), cause: err}
	}
	for n := 1; ; n++ {
		done, err := attempt()
		if errors.Is(err, ErrParentGone) {
			host{u}.Interrupt() // nobody has refused new tokens
		}
		if u.ctx.Err() != nil {
			return errInterrupted
		}
		if err == nil {
			u.responded(done)
			return nil
		}
		var be *backend.Error
		if !errors.As(err, &be) {
			return err
		}
		u.sawLimits(be.Limits)
		if be.Retry != backend.RetryStream || n > u.provider.StreamMaxRetries {
			return err
		}
		u.notify(protocol.MethodError, &protocol.ErrorNotification{Error: *retryError(be), WillRetry: true, ThreadID: u.th.id, TurnID: u.id})
		u.answer()
		wait := be.RetryAfter
		if wait <= 0 {
			wait = backend.Backoff(n)
		}
		if !u.pause(wait) {
			return errInterrupted
		}
	}
}

// attempt is one attempt of a response.
func (u *turn) attempt() (*backend.Completed, error) {
	f := fold{u: u}
	defer f.closeOpen()
	return u.stream(u.request(), f.event)
}

// pause waits, and reports false where an interrupt ended the wait.
func (u *turn) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return u.ctx.Err() == nil
	case <-u.ctx.Done():
		return false
	}
}

// request is what the model is asked next.
func (u *turn) request() *backend.Request {
	t := u.th
	r := &backend.Request{
		Provider: backendProvider(u.provider, t.cfg), ThreadID: t.id, Turn: u.state,
		Window: u.conv.window, Model: u.set.model, Instructions: t.instructions,
		Input: u.conv.input(), Tools: u.kit.Specs(),
		ParallelToolCalls: u.info.ParallelToolCalls, OutputSchema: u.schema, Metadata: u.metadata,
	}
	if u.set.tier != nil {
		r.ServiceTier = string(*u.set.tier)
	}
	if u.info.Reasoning {
		r.Reasoning = &backend.Reasoning{Effort: string(u.set.effort), Summary: string(u.set.summary)}
		if r.Reasoning.Effort == "" {
			r.Reasoning.Effort = u.info.DefaultEffort
		}
		switch r.Reasoning.Summary {
		case "":
			r.Reasoning.Summary = u.info.DefaultSummary
		case string(protocol.SummaryNone):
			r.Reasoning.Summary = "" // the backend knows no such value
		}
	}
	if u.info.Verbosity {
		if r.Verbosity = string(u.set.verbosity); r.Verbosity == "" {
			r.Verbosity = u.info.DefaultVerbosity
		}
	}
	if u.review != nil {
		u.review.shape(r)
	}
	return r
}

func backendProvider(p config.Provider, cfg *config.Config) backend.Provider {
	return backend.Provider{
		ID: p.ID, Name: p.Name, BaseURL: p.BaseURL, OpenAI: p.ID == config.ProviderOpenAI, ChatGPTBaseURL: cfg.ChatGPTBaseURL,
		RequiresAuth: p.RequiresOpenAIAuth, EnvKey: p.EnvKey, Bearer: p.BearerToken,
		QueryParams: p.QueryParams, Headers: p.HTTPHeaders, EnvHeaders: p.EnvHTTPHeaders,
		RequestMaxRetries: p.RequestMaxRetries, StreamMaxRetries: p.StreamMaxRetries, StreamIdleTimeout: p.StreamIdleTimeout,
	}
}

// answer runs the calls that wait and gives their outputs to the model, in the
// order of the calls. Once the turn is interrupted the rest is left to wrapUp.
func (u *turn) answer() {
	for len(u.calls) > 0 && u.ctx.Err() == nil {
		calls := u.calls[:u.sideBySide()]
		outputs := make([]tools.Output, len(calls))
		var wg sync.WaitGroup
		for i, c := range calls {
			wg.Go(func() { outputs[i] = u.kit.Run(u.ctx, c.Call) })
		}
		wg.Wait()
		for _, out := range outputs {
			u.output(out)
		}
	}
}

// maxSideBySide bounds how many calls of a turn run at once; the others wait.
const maxSideBySide = 16

// sideBySide is how many of the first calls that wait may run at once: more than
// one where the model was told so, up to the first that must run alone.
func (u *turn) sideBySide() int {
	n := 0
	for n < len(u.calls) && n < maxSideBySide && u.info.ParallelToolCalls && u.kit.Parallel(u.calls[n].Call) {
		n++
	}
	return max(n, 1)
}

// output gives the model the output of the first call that waits.
func (u *turn) output(out tools.Output) {
	c := u.calls[0]
	u.calls = u.calls[1:]
	u.remember(outputItem(c, out))
}

// remember adds an item to the conversation.
func (u *turn) remember(raw jsontext.Value) { u.rememberAs(raw, raw) }

// rememberAs adds an item to the conversation that came in another form, which
// is the one shown to a parent that asked for raw items.
func (u *turn) rememberAs(raw, came jsontext.Value) {
	u.conv.add(raw)
	u.keep(rollout.ResponseItem(raw))
	u.tellRaw(came)
}

// tellRaw shows an item of the conversation to a parent that asked for them.
func (u *turn) tellRaw(item jsontext.Value) {
	if u.th.rawEvents {
		u.notify(protocol.MethodRawResponseItemCompleted, &protocol.RawResponseItemCompletedNotification{ThreadID: u.th.id, TurnID: u.id, Item: item})
	}
}
