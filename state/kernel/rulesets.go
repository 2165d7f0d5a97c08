package kernel

// applyRulesets replaces or deletes the wave's tables, each in one transaction.
func (r *run) applyRulesets(ops []int) error {
	for _, i := range ops {
		op := r.wave[i]
		err := r.inPlace(r.ctx, op.Key.Place, func(nsfd int) error { return applyRuleset(nsfd, op) })
		if e := r.ctx.Err(); e != nil && err != nil {
			return e
		}
		r.report(i, err)
		if r.first != nil {
			break
		}
	}
	return nil
}
