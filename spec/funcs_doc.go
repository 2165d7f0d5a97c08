package spec

import "github.com/zclconf/go-cty/cty/function"

// functionDocs say what the functions do whose library does not.
func functionDocs() map[string]string {
	return map[string]string{
		"abspath":      "The path as an absolute one.",
		"base64decode": "The text that a Base64 text stands for.",
		"base64encode": "The text in Base64.",
		"basename":     "The last part of a path.",
		"can":          "Whether an expression can be evaluated without an error.",
		"cidrhost":     "The address with the number in a network, counted from its end if negative: cidrhost(\"10.1.0.0/24\", 5) is \"10.1.0.5\".",
		"cidrnetmask":  "The netmask of an IPv4 network: cidrnetmask(\"10.1.0.0/24\") is \"255.255.255.0\".",
		"cidrsubnet":   "The subnet with the number among those that are newbits longer: cidrsubnet(\"10.1.0.0/16\", 8, 2) is \"10.1.2.0/24\".",
		"cidrsubnets":  "Consecutive subnets, each that many bits longer than the network.",
		"coalesce":     "The first value that is neither null nor empty text.",
		"convert":      "The value converted to a type: convert(\"5\", number).",
		"dirname":      "A path without its last part.",
		"file":         "The text in a file.",
		"filebase64":   "The bytes in a file, in Base64.",
		"fileexists":   "Whether there is a file at the path.",
		"fileset":      "The files below a folder whose names match a pattern.",
		"md5":          "The MD5 hash of a text, in hexadecimal.",
		"pathexpand":   "A path with a leading ~ replaced by the home folder.",
		"sha1":         "The SHA-1 hash of a text, in hexadecimal.",
		"sha256":       "The SHA-256 hash of a text, in hexadecimal.",
		"sha512":       "The SHA-512 hash of a text, in hexadecimal.",
		"try":          "The value of the first expression that can be evaluated without an error.",
		"urlencode":    "The text as it can stand in a URL.",
		"uuidv5":       "The UUID made of a namespace and a name, always the same.",
		"yamlencode":   "The value as YAML.",
	}
}

// described are functions with what functionDocs says of them.
func described(funcs map[string]function.Function) map[string]function.Function {
	for name, doc := range functionDocs() {
		f := funcs[name]
		params := make([]string, len(f.Params()))
		for i, p := range f.Params() {
			params[i] = p.Description
		}
		funcs[name] = f.WithNewDescriptions(doc, params)
	}
	return funcs
}
