package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// replyTime is how long an answer that is no stream may take to be written.
const replyTime = 30 * time.Second

// failure is an error with what the caller may know of it.
type failure struct {
	code   int
	public string
	cause  error // for the log; may be nil
}

func (f *failure) Error() string {
	if f.cause == nil {
		return f.public
	}
	return fmt.Sprintf("%s: %v", f.public, f.cause)
}

func (f *failure) Unwrap() error { return f.cause }

// handler answers a request, or says why not.
type handler func(w http.ResponseWriter, r *http.Request) error

// policy lets the page load what this server embeds and nothing else; there is
// no inline script or style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// serve makes an http.Handler of h: headers first, then the answer, then its
// error as JSON to the caller and with its cause to the log.
func (s *Server) serve(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		head.Set("Cache-Control", "no-store")
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(replyTime)) // a writer without deadlines is a test's
		err := s.checkHost(r)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := &failure{code: http.StatusInternalServerError, public: "something went wrong here; the log says what", cause: err}
	if known := (*failure)(nil); errors.As(err, &known) {
		f = known
	}
	if r.Context().Err() == nil {
		s.cfg.Log.Info().Int("code", f.code).Str("method", r.Method).Str("path", r.URL.Path).Err(f).Msg("request failed")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": f.public}) // the caller may be gone
}

// checkHost keeps names that were made to point here (DNS rebinding) from
// reading what is served on the loopback only.
func (s *Server) checkHost(r *http.Request) error {
	if !s.loopback {
		return nil
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() || host == "[::1]" {
		return nil
	}
	return &failure{code: http.StatusMisdirectedRequest, public: "this dashboard answers to localhost and loopback addresses only"}
}

func reply(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(b)
	return err
}
