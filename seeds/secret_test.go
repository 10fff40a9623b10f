package seeds

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestSecretIsNeverShown(t *testing.T) {
	holder := struct {
		Password Secret
		ByName   map[string]Secret
		List     []Secret
		Pointer  *Secret
	}{Password: "hush", ByName: map[string]Secret{"a": "hush"}, List: []Secret{"hush"}, Pointer: new(Secret)}
	*holder.Pointer = "hush"

	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%c", "%10.2s", "%t"} {
		shown = append(shown, fmt.Sprintf(verb, holder.Password), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, *holder.Pointer))
	}
	shown = append(shown, fmt.Sprint(holder.Password), holder.Password.String(), holder.Password.GoString(), fmt.Errorf("x: %v", holder).Error())
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal} {
		out, err := marshal(holder)
		if err != nil || !strings.Contains(string(out), masked) {
			t.Errorf("%s: %s, %v", name, out, err)
		}
		shown = append(shown, string(out))
	}
	out, err := xml.Marshal(holder.Password)
	if err != nil {
		t.Fatal(err)
	}
	shown = append(shown, string(out))
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("x", "secret", holder.Password, "holder", holder, "text", "as "+holder.Password.String())
	}
	shown = append(shown, log.String())

	for _, s := range shown {
		if strings.Contains(s, "hush") || strings.Contains(strings.ToLower(strings.ReplaceAll(s, " ", "")), fmt.Sprintf("%x", "hush")) {
			t.Errorf("shows the secret: %s", s)
		}
	}
	if holder.Password.Reveal() != "hush" {
		t.Error("Reveal does not give the secret")
	}
}
