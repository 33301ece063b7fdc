package web

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/watch"
)

//go:embed static
var static embed.FS

// MinToken is the least length of the token that commands want.
const MinToken = 16

// Config of a dashboard.
type Config struct {
	// Federation is what is shown.
	Federation *watch.Federation
	// Command sends an operator's command for a task and returns what the
	// aggregator said of it; watch.ErrRefused if it was refused. Required.
	Command func(ctx context.Context, task, op string) (string, error)
	// Token is what a request has to bring for a command, at least MinToken
	// bytes. Required.
	Token string
	// Addr is where to listen, "127.0.0.1:8470"; port 0 takes a free one.
	Addr string
	// Log receives refused requests and why.
	Log zerolog.Logger
}

// Server is one dashboard.
type Server struct {
	cfg      Config
	token    [sha256.Size]byte
	hub      hub
	http     http.Server
	listener net.Listener
	loopback bool // listens where only this machine reaches it
}

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	if len(cfg.Token) < MinToken {
		return nil, fmt.Errorf("web: a token of %d bytes, want at least %d", len(cfg.Token), MinToken)
	}
	s := &Server{cfg: cfg, token: sha256.Sum256([]byte(cfg.Token)), loopback: true}
	s.hub = hub{fed: cfg.Federation, pages: map[*page]bool{}}
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.serve(files))
	mux.Handle("GET /assets/", s.serve(files))
	mux.Handle("GET /api/live", s.serve(s.live))
	mux.Handle("GET /api/site", s.serve(s.site))
	mux.Handle("POST /api/command", s.serve(s.command))
	mux.Handle("/", s.serve(func(http.ResponseWriter, *http.Request) error {
		return &failure{code: http.StatusNotFound, public: "there is nothing here"}
	}))
	s.http = http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: replyTime, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	return s, nil
}

// Listen opens the address and returns the URL of the page.
func (s *Server) Listen() (string, error) {
	l, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return "", fmt.Errorf("web: %w", err)
	}
	s.listener = l
	at, ok := l.Addr().(*net.TCPAddr)
	s.loopback = ok && at.IP.IsLoopback()
	return "http://" + l.Addr().String() + "/", nil
}

// stopTime is how long requests have that run when the server ends.
const stopTime = 5 * time.Second

// Run serves until ctx ends, and returns when every request has ended.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx } // ends the streams
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("web: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := s.http.Shutdown(stopping)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// files serves the page and what it loads.
func (s *Server) files() (handler, error) {
	root, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	page, err := fs.ReadFile(root, "index.html")
	if err != nil {
		return nil, err
	}
	assets := http.StripPrefix("/assets/", http.FileServerFS(root))
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, err := w.Write(page)
			return err
		}
		if info, err := fs.Stat(root, r.URL.Path[len("/assets/"):]); err != nil || info.IsDir() {
			return &failure{code: http.StatusNotFound, public: "there is nothing here"}
		}
		assets.ServeHTTP(w, r)
		return nil
	}, nil
}

// site answers with the history of one site's metrics.
func (s *Server) site(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v, ok := s.cfg.Federation.Site(q.Get("task"), q.Get("path"))
	if !ok {
		return &failure{code: http.StatusNotFound, public: "no such site in this task"}
	}
	return reply(w, v)
}
