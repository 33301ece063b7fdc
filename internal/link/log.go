package link

import (
	"fmt"
	"strings"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"
)

// LogLibrary sends the errors of the MQTT library below, which are off by
// default, to a log (C-18): for who asks for more, since they come with each end of a
// connection, also one that was wanted, and the link says itself what that means. They
// name no connection and carry no payload. The library keeps its loggers in globals, so
// call this once, before any Run.
func LogLibrary(l zerolog.Logger) {
	mqtt.ERROR = libraryLog{l, zerolog.DebugLevel}
	mqtt.CRITICAL = libraryLog{l, zerolog.ErrorLevel}
}

type libraryLog struct {
	log   zerolog.Logger
	level zerolog.Level
}

func (l libraryLog) Println(v ...any)               { l.write(fmt.Sprintln(v...)) }
func (l libraryLog) Printf(format string, v ...any) { l.write(fmt.Sprintf(format, v...)) }

func (l libraryLog) write(s string) {
	const limit = 512
	s = strings.TrimSpace(s)
	if len(s) > limit {
		s = s[:limit]
	}
	l.log.WithLevel(l.level).Str("detail", s).Msg("mqtt library")
}
