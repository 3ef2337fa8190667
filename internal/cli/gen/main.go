// Command gen reads an image of the API's protos, as `buf build -o -` writes it, and writes their comments, which generated
// code does not hold: a line each, name, tab, comment.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	log.SetFlags(0)
	if err := write(os.Stdout, os.Stdin); err != nil {
		log.Fatal("comments: ", err)
	}
}

func write(w io.Writer, image io.Reader) error {
	b, err := io.ReadAll(image)
	if err != nil {
		return err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(b, set); err != nil {
		return err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return err
	}
	comments := map[string]string{}
	files.RangeFilesByPackage("tenure.v1", func(file protoreflect.FileDescriptor) bool {
		locations := file.SourceLocations()
		note := func(d protoreflect.Descriptor) {
			if text := strings.Join(strings.Fields(locations.ByDescriptor(d).LeadingComments), " "); text != "" {
				comments[string(d.FullName())] = text
			}
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			note(service)
			for j := range service.Methods().Len() {
				note(service.Methods().Get(j))
			}
		}
		messages(file.Messages(), note)
		enums(file.Enums(), note)
		return true
	})
	out := bufio.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(comments)) {
		fmt.Fprintf(out, "%s\t%s\n", name, comments[name])
	}
	return out.Flush()
}

func messages(list protoreflect.MessageDescriptors, note func(protoreflect.Descriptor)) {
	for i := range list.Len() {
		m := list.Get(i)
		note(m)
		for j := range m.Fields().Len() {
			note(m.Fields().Get(j))
		}
		messages(m.Messages(), note)
		enums(m.Enums(), note)
	}
}

func enums(list protoreflect.EnumDescriptors, note func(protoreflect.Descriptor)) {
	for i := range list.Len() {
		for j := range list.Get(i).Values().Len() {
			note(list.Get(i).Values().Get(j))
		}
	}
}
