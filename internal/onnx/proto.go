package onnx

import (
	"encoding/binary"
	"math"
	"sort"

	"google.golang.org/protobuf/encoding/protowire"
)

// Versions that a graph is written for.
const (
	irVersion = 8
	opset     = 17
	opsetML   = 3
	domainML  = "ai.onnx.ml"
)

// Numbers of fields in onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
const (
	modelIR, modelProducer, modelGraph, modelOpset, modelMetadata = 1, 2, 7, 8, 14

	graphNode, graphName, graphInitializer, graphInput, graphOutput = 1, 2, 5, 11, 12

	nodeInput, nodeOutput, nodeName, nodeOp, nodeAttribute, nodeDomain = 1, 2, 3, 4, 5, 7

	attrName, attrInt, attrString, attrInts, attrStrings, attrType = 1, 3, 4, 8, 9, 20

	tensorDims, tensorType, tensorName, tensorRaw, tensorExternal, tensorLocation = 1, 2, 8, 9, 13, 14
)

// Element types of a tensor.
const (
	typeFloat, typeInt64, typeString, typeBool, typeHalf, typeDouble, typeBFloat16 = 1, 7, 8, 9, 10, 11, 16
)

// Types of an attribute.
const (
	attrIsInt, attrIsString, attrIsInts, attrIsStrings = 2, 3, 7, 8
)

// msg is a protobuf message that is being written.
type msg []byte

func (m *msg) int(field protowire.Number, v int64) {
	*m = protowire.AppendTag(*m, field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(v))
}

func (m *msg) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, b)
}

func (m *msg) text(field protowire.Number, s string) { m.bytes(field, []byte(s)) }

// attrs are attributes of a node: int64, string, []int64 or []string by name.
type attrs map[string]any

func (a attrs) appendTo(node *msg) {
	names := make([]string, 0, len(a))
	for name := range a {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		var at msg
		at.text(attrName, name)
		switch v := a[name].(type) {
		case int:
			at.int(attrInt, int64(v))
			at.int(attrType, attrIsInt)
		case string:
			at.text(attrString, v)
			at.int(attrType, attrIsString)
		case []int64:
			for _, n := range v {
				at.int(attrInts, n)
			}
			at.int(attrType, attrIsInts)
		case []string:
			for _, s := range v {
				at.text(attrStrings, s)
			}
			at.int(attrType, attrIsStrings)
		}
		node.bytes(nodeAttribute, at)
	}
}

// tensor is a TensorProto with raw values.
func tensor(name string, kind int64, dims []int, raw []byte) msg {
	var t msg
	for _, d := range dims {
		t.int(tensorDims, int64(d))
	}
	t.int(tensorType, kind)
	t.text(tensorName, name)
	t.bytes(tensorRaw, raw)
	return t
}

func doubles(values []float64) []byte {
	raw := make([]byte, 0, 8*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	return raw
}

func ints(values []int64) []byte {
	raw := make([]byte, 0, 8*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return raw
}

// value is a ValueInfoProto: any number of rows, width columns; 0 is a vector.
func value(name, doc string, kind int64, width int) msg {
	dim := func(field protowire.Number, set func(d *msg)) (shape msg) {
		var d msg
		set(&d)
		shape.bytes(field, d)
		return shape
	}
	shape := dim(1, func(d *msg) { d.text(2, "rows") })
	if width > 0 {
		shape = append(shape, dim(1, func(d *msg) { d.int(1, int64(width)) })...)
	}
	var tensor, typ, v msg
	tensor.int(1, kind)
	tensor.bytes(2, shape)
	typ.bytes(1, tensor)
	v.text(1, name)
	v.bytes(2, typ)
	if doc != "" {
		v.text(3, doc)
	}
	return v
}

// metadata is one entry of a model's metadata_props.
func metadata(key, text string) msg {
	var e msg
	e.text(1, key)
	e.text(2, text)
	return e
}
