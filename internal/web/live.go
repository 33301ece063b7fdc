package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/fedmq/fedmq/internal/watch"
)

const (
	maxPages  = 64               // open at once
	pageQueue = 8                // views that wait for a slow page; then it begins anew
	keepAlive = 15 * time.Second // between two writes on a stream at most
	writeTime = 10 * time.Second // for one view to leave
)

// hub hands each change to every open page, encoded once.
type hub struct {
	fed *watch.Federation

	mu    sync.Mutex
	seq   uint64 // what all pages have, or have waiting
	pages map[*page]bool
}

// page is one open stream.
type page struct {
	views chan []byte
	lost  bool // it was too slow: it gets everything again
}

var errPages = errors.New("too many pages are open here")

// join makes a page and its first view, which is complete.
func (h *hub) join() (*page, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pages) >= maxPages {
		return nil, errPages
	}
	p := &page{views: make(chan []byte, pageQueue)}
	if err := h.first(p); err != nil {
		return nil, err
	}
	h.pages[p] = true
	return p, nil
}

// first queues everything for a page.
func (h *hub) first(p *page) error {
	v, _ := h.fed.Since(0)
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(h.pages) == 0 {
		h.seq = v.Seq
	}
	p.views <- b
	p.lost = false
	return nil
}

func (h *hub) leave(p *page) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pages, p)
}

// Changed sends every open page what has changed since the last call. It does
// not wait for any.
func (s *Server) Changed() {
	h := &s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pages) == 0 {
		return
	}
	v, ok := h.fed.Since(h.seq)
	var b []byte
	if ok && v.Seq != h.seq {
		var err error
		if b, err = json.Marshal(v); err != nil {
			s.cfg.Log.Error().Err(err).Msg("view")
			return
		}
		h.seq = v.Seq
	}
	for p := range h.pages {
		switch {
		case p.lost && len(p.views) == 0:
			if err := h.first(p); err != nil {
				s.cfg.Log.Error().Err(err).Msg("view")
			}
		case b == nil || p.lost:
		case len(p.views) == cap(p.views):
			p.lost = true
		default:
			p.views <- b
		}
	}
}

// live is a page's stream of views.
func (s *Server) live(w http.ResponseWriter, r *http.Request) error {
	p, err := s.hub.join()
	if err != nil {
		return &failure{code: http.StatusServiceUnavailable, public: err.Error()}
	}
	defer s.hub.leave(p)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // nothing more is read; as below
	w.Header().Set("Content-Type", "text/event-stream")
	beat := time.NewTicker(keepAlive)
	defer beat.Stop()
	text := []byte("retry: 2000\n\n")
	for {
		_ = control.SetWriteDeadline(time.Now().Add(writeTime)) // a writer without deadlines is a test's
		if _, err := w.Write(text); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
		select {
		case b := <-p.views:
			text = append(append([]byte("data: "), b...), "\n\n"...)
		case <-beat.C:
			text = []byte(":\n\n")
		case <-r.Context().Done():
			return nil
		}
	}
}
