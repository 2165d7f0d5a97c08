package apart

// Look is Kernel, and after it the Files of the directories.
func Look(dirs ...string) (string, error) {
	kernel, err := Kernel()
	if err != nil {
		return "", err
	}
	s := sight{}
	s.WriteString(kernel)
	err = s.files(dirs)
	return s.String(), err
}

// Is reports whether the machine is now as Look said. It looks no further than to the first
// difference: who waits for the kernel looks often, and what the kernel has still to do is
// mostly seen at once.
func Is(look string, dirs ...string) (bool, error) {
	s := sight{want: look}
	if err := s.everywhere(); err != nil || s.busy || s.differs() {
		return false, err
	}
	err := s.files(dirs)
	return s.String() == look, err
}

// files adds the Files of the directories.
func (s *sight) files(dirs []string) error {
	for _, dir := range dirs {
		text, err := Files(dir)
		if err != nil {
			return err
		}
		s.WriteString(text)
	}
	return nil
}
