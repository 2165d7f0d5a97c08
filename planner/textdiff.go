package planner

import "strings"

// edit is one line of a difference between two texts: kept (' '), added or removed.
type edit struct {
	sign byte
	text string
}

// mostCells bounds the table of the longest common subsequence; texts that differ more
// than that are shown as removed and added as a whole.
const mostCells = 1 << 20

// diffLines is the shortest way from one text to another in whole lines. Equal lines at
// both ends are set aside first, so the usual change of one line in thousands is cheap.
func diffLines(from, to string) []edit {
	return diffTexts(lines(from), lines(to))
}

// diffTexts is the shortest way from one list of texts to another.
func diffTexts(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	edits := marked(nil, ' ', a[:head])
	edits = middle(edits, a[head:len(a)-tail], b[head:len(b)-tail])
	return marked(edits, ' ', a[len(a)-tail:])
}

// middle is the difference of two texts that share neither first nor last line.
func middle(edits []edit, a, b []string) []edit {
	if (len(a)+1)*(len(b)+1) > mostCells || len(a) == 0 || len(b) == 0 {
		return marked(marked(edits, '-', a), '+', b)
	}
	common := commonLengths(a, b)
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			edits = append(edits, edit{' ', a[i]})
			i, j = i+1, j+1
		case common[i+1][j] >= common[i][j+1]:
			edits = append(edits, edit{'-', a[i]})
			i++
		default:
			edits = append(edits, edit{'+', b[j]})
			j++
		}
	}
	return marked(marked(edits, '-', a[i:]), '+', b[j:])
}

// commonLengths[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
func commonLengths(a, b []string) [][]int32 {
	cells := make([]int32, (len(a)+1)*(len(b)+1))
	table := make([][]int32, len(a)+1)
	for i := range table {
		table[i] = cells[i*(len(b)+1) : (i+1)*(len(b)+1)]
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	return table
}

func marked(edits []edit, sign byte, lines []string) []edit {
	for _, l := range lines {
		edits = append(edits, edit{sign, l})
	}
	return edits
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
