package cli

import (
	"context"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// keepRest fills what was not given of a part of the policy with what is there now. UpdatePolicy replaces a part whole;
// who changes one pattern does not mean to lose the other. Lists are given whole or not at all.
func (c *Connection) keepRest(ctx context.Context, req protoreflect.Message, inputs []*input) error {
	method := methodOf("InstanceService.GetPolicy")
	res, err := c.call(ctx, method, newMessage(method.Input()).Interface())
	if err != nil {
		return err
	}
	policy := get(res.ProtoReflect(), "policy").Message()
	for _, in := range inputs {
		if len(in.path) < 2 || in.set || in.field().IsList() || !req.Has(in.path[0]) {
			continue
		}
		now := get(policy, string(in.path[0].Name())).Message()
		req.Mutable(in.path[0]).Message().Set(in.field(), now.Get(in.field()))
	}
	return nil
}
