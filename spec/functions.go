package spec

import (
	"path/filepath"

	ctycidr "github.com/hashicorp/go-cty-funcs/cidr"
	"github.com/hashicorp/go-cty-funcs/collection"
	"github.com/hashicorp/go-cty-funcs/crypto"
	"github.com/hashicorp/go-cty-funcs/encoding"
	"github.com/hashicorp/go-cty-funcs/filesystem"
	"github.com/hashicorp/go-cty-funcs/uuid"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// Functions are those that expressions can call, under Terraform's names. Files are
// relative to dir. None depends on time or chance: a plan is a pure function of its
// configuration.
func Functions(dir string) map[string]function.Function {
	base := filepath.Clean(dir)
	funcs := map[string]function.Function{
		// Numbers.
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "log": stdlib.LogFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc,
		"signum": stdlib.SignumFunc, "sum": sumFunc,
		// Text.
		"chomp": stdlib.ChompFunc, "endswith": endsWithFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc,
		"indent": stdlib.IndentFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex": stdlib.RegexFunc,
		"regexall": stdlib.RegexAllFunc, "replace": replaceFunc, "split": stdlib.SplitFunc, "startswith": startsWithFunc,
		"strcontains": strContainsFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc,
		"trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc,
		"trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
		// Collections.
		"alltrue": allTrueFunc, "anytrue": anyTrueFunc, "chunklist": stdlib.ChunklistFunc, "coalesce": collection.CoalesceFunc,
		"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc,
		"contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc,
		"flatten": stdlib.FlattenFunc, "index": indexFunc, "keys": stdlib.KeysFunc, "length": lengthFunc, "lookup": lookupFunc,
		"matchkeys": matchKeysFunc, "merge": stdlib.MergeFunc, "one": oneFunc, "range": rangeFunc, "reverse": stdlib.ReverseListFunc,
		"setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc,
		"setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "transpose": transposeFunc,
		"values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
		// Types.
		"can": tryfunc.CanFunc, "convert": typeexpr.ConvertFunc, "issensitive": isSensitiveFunc, "nonsensitive": nonsensitiveFunc,
		"sensitive": sensitiveFunc, "tobool": toFunc(cty.Bool), "tolist": toFunc(cty.List(cty.DynamicPseudoType)),
		"tomap": toFunc(cty.Map(cty.DynamicPseudoType)), "tonumber": toFunc(cty.Number),
		"toset": toFunc(cty.Set(cty.DynamicPseudoType)), "tostring": toFunc(cty.String), "try": tryfunc.TryFunc,
		// Addresses.
		"cidrcontains": cidrContainsFunc, "cidrhost": ctycidr.HostFunc, "cidrnetmask": ctycidr.NetmaskFunc,
		"cidroverlaps": cidrOverlapsFunc, "cidrsubnet": ctycidr.SubnetFunc, "cidrsubnets": ctycidr.SubnetsFunc,
		// Encoding and hashes.
		"base64decode": encoding.Base64DecodeFunc, "base64encode": encoding.Base64EncodeFunc, "csvdecode": stdlib.CSVDecodeFunc,
		"formatdate": stdlib.FormatDateFunc, "jsondecode": jsonDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"md5": crypto.Md5Func, "sha1": crypto.Sha1Func, "sha256": crypto.Sha256Func, "sha512": crypto.Sha512Func,
		"timeadd": stdlib.TimeAddFunc, "urlencode": encoding.URLEncodeFunc, "uuidv5": uuid.V5Func,
		"yamldecode": yamlDecodeFunc, "yamlencode": ctyyaml.YAMLEncodeFunc,
		// Files.
		"abspath": filesystem.AbsPathFunc, "basename": filesystem.BasenameFunc, "dirname": filesystem.DirnameFunc,
		"file": filesystem.MakeFileFunc(base, false), "filebase64": filesystem.MakeFileFunc(base, true),
		"fileexists": filesystem.MakeFileExistsFunc(base), "fileset": filesystem.MakeFileSetFunc(base),
		"pathexpand": filesystem.PathExpandFunc,
	}
	funcs = described(funcs)
	// Templates may call everything but templates, which could call themselves.
	inner := make(map[string]function.Function, len(funcs))
	for name, f := range funcs {
		inner[name] = f
	}
	funcs["templatefile"] = templateFileFunc(base, inner)
	funcs["templatestring"] = templateStringFunc(inner)
	return funcs
}
