package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/fedmq/fedmq/internal/watch"
)

// TokenHeader is the request header that bears the token. A form or a link of
// another site cannot set it.
const TokenHeader = "Fedmq-Token"

const (
	maxRequest  = 1 << 10          // bytes of a command's request
	commandTime = 10 * time.Second // for the aggregator's answer
)

var ops = map[string]bool{"start": true, "pause": true, "pause_now": true, "resume": true, "stop": true}

type commandRequest struct {
	Task    string `json:"task"`
	Command string `json:"command"`
}

// command sends an operator's command. It is refused without the token, from
// another origin, and as anything but JSON.
func (s *Server) command(w http.ResponseWriter, r *http.Request) error {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return &failure{code: http.StatusForbidden, public: "commands come from the dashboard's own page only", cause: err}
	}
	given := sha256.Sum256([]byte(r.Header.Get(TokenHeader)))
	if subtle.ConstantTimeCompare(given[:], s.token[:]) != 1 {
		return &failure{code: http.StatusUnauthorized, public: "wrong token: fedmq dashboard printed it when it started"}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &failure{code: http.StatusUnsupportedMediaType, public: "want application/json"}
	}
	var c commandRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return &failure{code: http.StatusBadRequest, public: `want {"task","command"}`, cause: err}
	}
	if !ops[c.Command] {
		return &failure{code: http.StatusBadRequest, public: "want command start, pause, pause_now, resume or stop"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandTime)
	defer cancel()
	answer, err := s.cfg.Command(ctx, c.Task, c.Command)
	if err != nil {
		code := http.StatusBadGateway
		if errors.Is(err, watch.ErrRefused) {
			code = http.StatusConflict
		}
		return &failure{code: code, public: err.Error()}
	}
	s.cfg.Log.Info().Str("task", c.Task).Str("command", c.Command).Str("answer", answer).Str("from", r.RemoteAddr).Msg("command")
	return reply(w, map[string]string{"answer": answer})
}
