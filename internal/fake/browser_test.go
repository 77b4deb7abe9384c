package fake

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A port that somebody else has got is gone for the login whose state nobody there
// knows. In memory nobody else is there, and no other answer will do.
func TestPageGone(t *testing.T) {
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Query().Get("state") == "odd" {
			w.WriteHeader(http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer stranger.Close()
	for _, tt := range []struct {
		name, state, values string
		memory, gone        bool
	}{
		{name: "stranger", state: "s", gone: true},
		{name: "stranger in memory", state: "s", memory: true},
		{name: "wrong state", state: "s", values: " state=other"},
		{name: "other answer", state: "odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &runner{mode: Mode{Memory: tt.memory, Patience: 50 * time.Millisecond}, endpoint: &Endpoint{Transport: &http.Transport{}}, transcript: &transcript{start: time.Now()}}
			auth := "http://provider/?state=" + tt.state + "&redirect_uri=" + url.QueryEscape(stranger.URL+"/auth/callback")
			if err := r.callbackLine("callback", auth+tt.values); err != nil {
				t.Fatal(err)
			}
			err := r.pageLine(t.Context(), "gone")
			if tt.gone != (err == nil) || err != nil && !strings.Contains(err.Error(), "still answers") {
				t.Errorf("gone: %v", err)
			}
			for _, v := range r.visits {
				<-v.done
			}
		})
	}
}
