package state

// Contents numbers texts, equal ones alike. Thousands of sandboxes see one hosts file of 70
// KB; to look each of them up by its text would hash gigabytes, where strings that share
// their bytes are equal at a glance. The zero value is ready to use.
type Contents struct {
	last    string
	number  int
	numbers map[string]int
}

// Number is the text's number, from 1 up.
func (c *Contents) Number(text string) int {
	if text == c.last && c.number > 0 {
		return c.number
	}
	n, ok := c.numbers[text]
	if !ok {
		if c.numbers == nil {
			c.numbers = map[string]int{}
		}
		n = len(c.numbers) + 1
		c.numbers[text] = n
	}
	c.last, c.number = text, n
	return n
}
