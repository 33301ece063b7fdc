package layers

type layer struct {
	imports []string // layers of this module it may import; "x/..." all below x
	pure    bool     // a machine without time, context, network, ...
}

// layers lists the packages of the module, each with what it may import.
// A package below a listed one ("trainer/tabular" below "trainer", but for
// lines of its own) belongs to it.
var layers = map[string]layer{
	".":             {},
	"topics":        {},
	"model":         {},
	"wire":          {imports: []string{"topics", "model", "internal/secret", "internal/textfile", "internal/zframe"}},
	"pipeline":      {pure: true}, // what a model means by its inputs and its output
	"broker":        {imports: []string{"topics", "internal/collect", "internal/store", "internal/secret", "internal/textfile", "internal/bubble"}},
	"trainer":       {imports: []string{"model", "pipeline", "internal/fold", "internal/near", "internal/table"}}, // moments and pooled metrics have one arithmetic
	"site":          {imports: []string{"topics", "model", "pipeline", "wire", "trainer", "record", "internal/audit", "internal/codec", "internal/fold", "internal/link", "internal/member", "internal/transfer", "internal/store", "internal/near", "internal/crash", "internal/bubble"}},
	"trainer/exec":  {imports: []string{"model", "pipeline", "trainer", "internal/group"}},
	"aggregator":    {imports: []string{"topics", "model", "pipeline", "wire", "trainer", "record", "strategy", "internal/audit", "internal/crash", "internal/follow", "internal/link", "internal/near", "internal/owner", "internal/round", "internal/store", "internal/transfer", "internal/verdict", "internal/view"}},
	"strategy":      {imports: []string{"model", "trainer", "internal/codec", "internal/exact", "internal/fold"}}, // needs of a trainer have one list; how updates become a model, for aggregator and replay
	"record":        {imports: []string{"model", "wire", "internal/verdict"}},
	"record/replay": {imports: []string{"model", "record", "strategy", "internal/fold", "internal/round", "internal/verdict"}},
	"python":        {},
	"examples":      {imports: []string{"topics", "model", "wire", "broker", "trainer", "site", "aggregator", "strategy", "record", "record/replay"}},
	"cmd":           {imports: []string{"..."}},

	"internal/round":    {imports: []string{"topics", "model", "pipeline", "wire", "internal/verdict"}, pure: true},
	"internal/member":   {imports: []string{"model", "wire", "internal/transfer", "internal/verdict"}, pure: true},
	"internal/transfer": {imports: []string{"model", "wire"}, pure: true},
	"internal/owner":    {imports: []string{"topics", "model", "wire", "internal/round", "internal/transfer", "internal/verdict"}, pure: true},
	"internal/exact":    {},
	"internal/fold":     {imports: []string{"model", "internal/exact"}},
	"internal/codec":    {imports: []string{"model", "internal/zframe"}},                                                                                                          // how the values of an update travel
	"internal/zframe":   {},                                                                                                                                                       // zstd, for bodies and for encodings
	"internal/contract": {imports: []string{"topics", "model", "wire", "record", "site", "aggregator", "internal/round", "internal/member", "internal/verdict", "internal/view"}}, // tests: schemas, list of topics, words
	"internal/verdict":  {},
	"internal/link":     {imports: []string{"topics", "internal/textfile", "internal/bubble"}},
	"internal/predict":  {imports: []string{"pipeline", "trainer", "internal/table"}}, // a model on the rows of a table
	"internal/onnx":     {imports: []string{"model", "pipeline"}},                     // models for other programs
	"internal/doctor":   {imports: []string{"topics", "wire", "internal/link"}},
	"internal/store":    {imports: []string{"model", "internal/crash"}},
	"internal/audit":    {imports: []string{"internal/bubble"}}, // lines for auditors
	"internal/collect":  {},                                     // when the garbage collector comes
	"internal/group":    {},                                     // a program and what it has started
	"internal/near":     {},                                     // the word that was meant, names that look alike
	"internal/table":    {imports: []string{"internal/near"}},   // tables as people have them
	"internal/secret":   {},                                     // files of keys and passwords
	"internal/textfile": {},                                     // text files of Windows too, certificates
	"internal/crash":    {},                                     // where tests kill a process; empty functions in a normal build
	"internal/layers":   {},
	"internal/bubble":   {imports: []string{"internal/racing"}},                 // tests in virtual time
	"internal/racing":   {},                                                     // tests under the race detector
	"internal/waits":    {},                                                     // tests that wait: more of them at once
	"internal/view":     {imports: []string{"model", "wire", "internal/round"}}, // the aggregator's JSON for people
	"internal/proc":     {},                                                     // processes of tests, and their ports
	"internal/watch":    {imports: []string{"topics", "wire", "record", "internal/link", "internal/view"}},
	"internal/metrics":  {imports: []string{"internal/audit", "aggregator", "site", "broker", "internal/link", "internal/round", "internal/verdict"}},
	"internal/web":      {imports: []string{"internal/watch"}},
	"internal/consumer": {imports: []string{"topics", "wire", "internal/follow", "internal/link", "internal/view"}},                                                           // a node that uses what is released
	"internal/follow":   {imports: []string{"topics", "model", "wire", "internal/link", "internal/transfer"}},                                                                 // a task's model, as a client reads it
	"internal/bench":    {imports: []string{"topics", "model", "wire", "broker", "trainer", "site", "aggregator", "strategy", "record", "record/replay", "internal/collect"}}, // fedmq bench

	// What tests of several packages plug into a registry.
	"internal/strategytest": {},

	// Tests of real processes against real brokers, and of the commands that pages show.
	"internal/brokers": {imports: []string{"topics", "record", "internal/..."}},
	"internal/pages":   {imports: []string{"internal/proc"}},
	"internal/hostile": {imports: []string{"topics", "model", "wire", "internal/proc"}}, // attacks on the built program
	"internal/figures": {imports: []string{"internal/bench", "internal/proc"}},          // what it costs, for the pages

	// Tests of whole federations: simulated, in real time, of processes that are killed, in virtual time.
	"internal/sim":        {imports: []string{"topics", "model", "wire", "internal/owner", "internal/round", "internal/member", "internal/verdict"}},
	"internal/federation": {imports: []string{"topics", "model", "wire", "broker", "trainer", "site", "aggregator", "record", "internal/..."}},
	"internal/crashtest":  {imports: []string{"topics", "model", "wire", "trainer", "site", "record", "internal/..."}},
	"internal/virtual":    {imports: []string{"topics", "model", "wire", "broker", "trainer", "site", "aggregator", "record", "internal/..."}},
}

// impure is what a pure machine does not import.
var impure = []string{
	"time", "sync", "context", "log", "net", "os", "io/fs", "syscall", "runtime",
	"math/rand", "crypto/rand", "testing",
}

type library struct {
	path   string
	owners []string // layers; none: tests only
}

// libraries lists what the module uses from others, each with the layers that
// may import it. Tests may import all of them.
var libraries = []library{
	{"github.com/eclipse/paho.mqtt.golang", []string{"internal/link"}},
	{"github.com/mochi-mqtt/server", []string{"broker"}},
	{"github.com/gorilla/websocket", []string{"internal/link", "broker"}},
	{"golang.org/x/net/http/httpguts", []string{"internal/link"}}, // what a header may be
	{"golang.org/x/net/proxy", []string{"internal/link"}},         // dialling as paho does, through the proxy of the environment
	{"github.com/vmihailenco/msgpack", []string{"wire"}},
	{"github.com/klauspost/compress", []string{"internal/zframe"}},
	{"go.etcd.io/bbolt", []string{"internal/store"}},
	{"gonum.org/v1/gonum", []string{"trainer"}}, // never in the fold or a strategy: other CPUs, other bits
	{"gonum.org/v1/plot", []string{"cmd"}},
	{"github.com/rs/zerolog", []string{"broker", "site", "aggregator", "trainer/exec", "internal/link", "internal/web", "internal/bench", "cmd", "examples"}}, // drivers log, the rest returns errors
	{"github.com/prometheus/client_golang", []string{"internal/metrics"}},
	{"github.com/google/jsonschema-go", []string{"internal/contract"}},
	{"github.com/goccy/go-yaml", []string{"cmd"}},
	{"google.golang.org/protobuf/encoding/protowire", []string{"internal/onnx"}}, // the bytes of an ONNX file
	{"github.com/alecthomas/kong", []string{"cmd"}},
	{"github.com/cpuguy83/go-md2man", []string{"cmd"}}, // man pages
	{"golang.org/x/term", []string{"cmd"}},
	{"golang.org/x/text/unicode/norm", []string{"internal/near", "internal/table", "cmd"}},
	{"github.com/parquet-go/parquet-go", []string{"internal/predict", "internal/table"}},
	{"golang.org/x/text/encoding", []string{"internal/table"}},
	{"golang.org/x/text/transform", []string{"internal/table"}},
	{"golang.org/x/sys/cpu", []string{"model"}},    // whether leaves are hashed side by side
	{"golang.org/x/sys", []string{"trainer/exec"}}, // limits of a trainer's process
	{"charm.land/bubbletea", []string{"cmd"}},      // fedmq watch
	{"charm.land/lipgloss", []string{"cmd"}},
	{"github.com/charmbracelet/x/ansi", []string{"cmd"}},
	{"github.com/chromedp", nil}, // the dashboard in a browser
	{"github.com/cockroachdb/datadriven", nil},
	{"github.com/rogpeppe/go-internal", nil},
	{"github.com/google/go-cmp", nil},
	{"pgregory.net/rapid", nil},
}
