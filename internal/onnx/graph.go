package onnx

import (
	"slices"
	"strconv"
)

// graph is a GraphProto that is being written. Each method that adds a node
// returns the name of what the node gives.
type graph struct {
	nodes, initializers, inputs, outputs msg
	taken                                map[string]bool // names of values
	count                                int
}

func newGraph() *graph { return &graph{taken: map[string]bool{}} }

// fresh is a name that no other value has; hint is used as it is where it is free.
func (g *graph) fresh(hint string) string {
	name := hint
	for g.taken[name] {
		name += "_"
	}
	g.taken[name] = true
	return name
}

// node adds a node of ai.onnx.
func (g *graph) node(op string, a attrs, in ...string) string { return g.add("", op, a, in) }

// ml adds a node of ai.onnx.ml.
func (g *graph) ml(op string, a attrs, in ...string) string { return g.add(domainML, op, a, in) }

func (g *graph) add(domain, op string, a attrs, in []string) string {
	g.count++
	out := g.fresh("fedmq/" + strconv.Itoa(g.count) + "/" + op)
	g.write(domain, op, a, in, out)
	return out
}

func (g *graph) write(domain, op string, a attrs, in []string, out string) {
	var n msg
	for _, name := range in {
		n.text(nodeInput, name)
	}
	n.text(nodeOutput, out)
	n.text(nodeName, "n/"+out)
	n.text(nodeOp, op)
	a.appendTo(&n)
	if domain != "" {
		n.text(nodeDomain, domain)
	}
	g.nodes.bytes(graphNode, n)
}

// constant adds an initializer of doubles.
func (g *graph) constant(dims []int, values ...float64) string {
	g.count++
	return g.initializer("fedmq/"+strconv.Itoa(g.count)+"/constant", typeDouble, dims, doubles(values))
}

func (g *graph) initializer(name string, kind int64, dims []int, raw []byte) string {
	name = g.fresh(name)
	g.initializers.bytes(graphInitializer, tensor(name, kind, dims, raw))
	return name
}

// row is an initializer of one row.
func (g *graph) row(values []float64) string { return g.constant([]int{1, len(values)}, values...) }

// scalar is an initializer of one number.
func (g *graph) scalar(v float64) string { return g.constant(nil, v) }

// flags is an initializer of one row of booleans.
func (g *graph) flags(values []bool) string {
	raw := make([]byte, len(values))
	for i, v := range values {
		if v {
			raw[i] = 1
		}
	}
	g.count++
	return g.initializer("fedmq/"+strconv.Itoa(g.count)+"/flags", typeBool, []int{1, len(values)}, raw)
}

// input may have the name of another one, a statistic of two features of a column.
func (g *graph) input(name, doc string, kind int64, width int) string {
	name = g.fresh(name)
	g.inputs.bytes(graphInput, value(name, doc, kind, width))
	return name
}

// output gives what is called from the name that users of the graph see. An input
// may have this name already.
func (g *graph) output(name, doc string, kind int64, width int, from string) {
	name = g.fresh(name)
	g.write("", "Identity", nil, []string{from}, name)
	g.outputs.bytes(graphOutput, value(name, doc, kind, width))
}

// columns puts tensors beside each other.
func (g *graph) columns(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return g.node("Concat", attrs{"axis": 1}, parts...)
}

func (g *graph) double(x string) string { return g.node("Cast", attrs{"to": typeDouble}, x) }

// model is the whole file.
func (g *graph) model(name string, props [][2]string) []byte {
	var gr, m msg
	gr = append(gr, g.nodes...)
	gr.text(graphName, name)
	gr = slices.Concat(gr, g.initializers, g.inputs, g.outputs)
	m.int(modelIR, irVersion)
	m.text(modelProducer, "fedmq")
	m.bytes(modelGraph, gr)
	for _, o := range []struct {
		domain  string
		version int64
	}{{"", opset}, {domainML, opsetML}} {
		var id msg
		if o.domain != "" {
			id.text(1, o.domain)
		}
		id.int(2, o.version)
		m.bytes(modelOpset, id)
	}
	for _, p := range props {
		m.bytes(modelMetadata, metadata(p[0], p[1]))
	}
	return m
}
