package vm

import (
	"os"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// Needs lists what the script needs of a kernel: what its comments at the top say after
// "needs:".
func Needs(script string) ([]state.Feature, error) {
	text, err := os.ReadFile(script)
	if err != nil {
		return nil, err
	}
	var features []state.Feature
	for line := range strings.Lines(string(text)) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		if list, ok := strings.CutPrefix(strings.TrimSpace(comment), "needs:"); ok {
			for name := range strings.SplitSeq(list, ",") {
				features = append(features, state.Feature(strings.TrimSpace(name)))
			}
		}
	}
	return features, nil
}
