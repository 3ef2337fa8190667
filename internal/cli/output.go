package cli

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Formats of --output. People get tables, lines and sentences; programs the response as it came, with every field.
const (
	people = "table"
	inJSON = "json"
	inYAML = "yaml"
)

var formats = []string{people, inJSON, inYAML}

func outputFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringP("output", "o", people, "`format`: table, json or yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

func outputOf(cmd *cobra.Command) (string, error) {
	format, err := cmd.Flags().GetString("output")
	if err != nil {
		return "", err
	}
	for _, f := range formats {
		if f == format {
			return f, nil
		}
	}
	return "", usagef(cmd, "--output is table, json or yaml, not %q", format)
}

// marshal is the JSON of the API, with the fields that are empty too, so that a program finds them.
func marshal(m proto.Message) ([]byte, error) {
	b, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	// protojson varies its white space from build to build.
	var compact bytes.Buffer
	err = json.Compact(&compact, b)
	return compact.Bytes(), err
}

func printMessage(w io.Writer, format string, m proto.Message) error {
	b, err := marshal(m)
	if err != nil {
		return err
	}
	return printJSON(w, format, b)
}

func printPlain(w io.Writer, format string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return printJSON(w, format, b)
}

// printJSON prints a JSON document, or the same as YAML.
func printJSON(w io.Writer, format string, document []byte) error {
	if format == inJSON {
		var out bytes.Buffer
		if err := json.Indent(&out, document, "", "  "); err != nil {
			return err
		}
		out.WriteByte('\n')
		_, err := out.WriteTo(w)
		return err
	}
	// JSON is YAML; read as such it keeps its order.
	var node yaml.Node
	if err := yaml.Unmarshal(document, &node); err != nil {
		return err
	}
	block(&node)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&node); err != nil {
		return err
	}
	return e.Close()
}

// block takes away JSON's brackets and quotes, where YAML needs none.
func block(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		block(child)
	}
}

// printLine prints one document of many: JSON a line each, YAML with a separator.
func printLine(w io.Writer, format string, document []byte) error {
	if format == inYAML {
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
		return printJSON(w, format, document)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, document); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err := line.WriteTo(w)
	return err
}
