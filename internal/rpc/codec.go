package rpc

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// protoCodec is connect's own codec for binary messages, but names the field that holds bad UTF-8.
type protoCodec struct{}

func (protoCodec) Name() string { return "proto" }

func (protoCodec) Marshal(m any) ([]byte, error) { return proto.Marshal(m.(proto.Message)) }

func (protoCodec) MarshalAppend(b []byte, m any) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(b, m.(proto.Message))
}

func (protoCodec) Unmarshal(b []byte, m any) error {
	err := proto.Unmarshal(b, m.(proto.Message))
	if err == nil {
		return nil
	}
	if field := badText(b, m.(proto.Message).ProtoReflect().Descriptor()); field != "" {
		return fmt.Errorf("%s: must be valid UTF-8", field)
	}
	return err
}

// badText is the path of the first string in an encoded message that is not UTF-8; "" if there is none that can be found.
func badText(b []byte, d protoreflect.MessageDescriptor) string {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ""
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			return ""
		}
		f := d.Fields().ByNumber(number)
		if f != nil && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b)
			if f.Kind() == protoreflect.StringKind && !utf8.Valid(value) {
				return string(f.Name())
			}
			if f.Message() != nil {
				if inner := badText(value, f.Message()); inner != "" {
					return string(f.Name()) + "." + inner
				}
			}
		}
		b = b[size:]
	}
	return ""
}
