package main

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// logFlags are the flags every command shares.
type logFlags struct {
	Level string `default:"info" enum:"debug,info,warn,error" help:"Least level that is logged to standard error (debug, info, warn, error)."`
	JSON  bool   `help:"Log JSON lines."`
}

// logger writes to standard error, for people: on a terminal in colour and with the
// time of day, elsewhere with the date. With --log-json it is for programs.
func (f *logFlags) logger() zerolog.Logger {
	var w io.Writer = os.Stderr
	if !f.JSON {
		screen := term.IsTerminal(int(os.Stderr.Fd()))
		text := zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.RFC3339, NoColor: !screen}
		if screen {
			text.TimeFormat = time.TimeOnly
		}
		w = text
	}
	level, err := zerolog.ParseLevel(f.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// args are the flags that say the same to a process of this program.
func (f *logFlags) args() []string {
	args := []string{"--log-level", f.Level}
	if f.JSON {
		args = append(args, "--log-json")
	}
	return args
}

// quiet is the logger of a command that a person waits for: its answer is the
// news, so "info" means warnings.
func (f *logFlags) quiet() zerolog.Logger {
	log := f.logger()
	if f.Level == "info" {
		return log.Level(zerolog.WarnLevel)
	}
	return log
}

// warn logs what a person may have meant otherwise.
func warn(log zerolog.Logger, warnings []string) {
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
}
