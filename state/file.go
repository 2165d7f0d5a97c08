package state

import "strconv"

// File is a file that `ip netns exec` lays over /etc for one namespace:
// <etc>/netns/<namespace>/<Name>. Its first line is a comment with the stack's mark, the
// same for all files of a stack, so that files with one content can share one inode.
type File struct {
	Place Place
	// Name is the file's name in /etc: "hosts", "resolv.conf", "hostname".
	Name    string
	Content string
	Mark    Owner
}

// Key is the name.
func (f File) Key() Key { return Key{KindFile, f.Place, f.Name} }

// Owner is the sandbox that asks for it.
func (f File) Owner() Owner { return f.Mark }

// Needs is the namespace.
func (f File) Needs() []Key { return insideOf(f.Place, "") }

// Inside is nothing: the kernel does not delete files with a namespace.
func (f File) Inside() []Key { return nil }

// Attrs is the content.
func (f File) Attrs() []Attr {
	return []Attr{{Name: "content", Value: strconv.Quote(f.Content)}}
}
