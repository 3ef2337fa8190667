package rpc

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tenurehq/tenure/domain"
	tenurev1 "github.com/tenurehq/tenure/proto/gen/tenure/v1"
)

var requirements = map[tenurev1.Access]domain.Requirement{
	tenurev1.Access_ACCESS_ANYONE:         domain.Anyone,
	tenurev1.Access_ACCESS_AUTHENTICATED:  domain.Authenticated,
	tenurev1.Access_ACCESS_USER:           domain.AnyUser,
	tenurev1.Access_ACCESS_INSTANCE_ADMIN: domain.InstanceAdmin,
	tenurev1.Access_ACCESS_DATA_PLANE:     domain.AnyInstanceKey,
	tenurev1.Access_ACCESS_VISIBLE:        domain.Visible,
	tenurev1.Access_ACCESS_PERMISSION:     domain.Permitted,
}

// methodRules reads the rule of every method from the proto, by procedure. A method without a rule gets none, and is
// refused to everybody; a rule that names a permission which does not exist is an error.
func methodRules() (map[string]domain.Rule, error) {
	rules := map[string]domain.Rule{}
	err := eachMethod(func(procedure string, m protoreflect.MethodDescriptor) error {
		declared, _ := proto.GetExtension(m.Options(), tenurev1.E_Rule).(*tenurev1.Rule)
		rule := domain.Rule{Requirement: requirements[declared.GetAccess()], Self: declared.GetSelf()}
		for _, p := range []struct {
			level domain.Level
			name  string
			to    *domain.Permission
		}{
			{domain.OrgLevel, declared.GetOrganization(), &rule.Org},
			{domain.ProjectLevel, declared.GetProject(), &rule.Project},
			{domain.OrgLevel, declared.GetOrganizationForProject(), &rule.OrgForProject},
		} {
			if *p.to = domain.ParsePermission(p.level, p.name); *p.to == 0 && p.name != "" {
				return fmt.Errorf("the rule of %s names the unknown permission %q", m.FullName(), p.name)
			}
		}
		rules[procedure] = rule
		return nil
	})
	return rules, err
}

// watched says what of a method goes into the access log.
type watched struct {
	name string
	// refusals: the method changes something, or reads what is sensitive; reads: the latter.
	refusals, reads bool
}

// watchedMethods reads from the proto what is to be kept, by procedure.
func watchedMethods() map[string]watched {
	methods := map[string]watched{}
	_ = eachMethod(func(procedure string, m protoreflect.MethodDescriptor) error {
		declared, _ := proto.GetExtension(m.Options(), tenurev1.E_Rule).(*tenurev1.Rule)
		options, _ := m.Options().(*descriptorpb.MethodOptions)
		changes := options.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		methods[procedure] = watched{string(m.Name()), changes || declared.GetSensitive(), declared.GetSensitive()}
		return nil
	})
	return methods
}

// Procedures are the paths of all methods.
func Procedures() []string {
	var list []string
	_ = eachMethod(func(procedure string, _ protoreflect.MethodDescriptor) error {
		list = append(list, procedure)
		return nil
	})
	return list
}

// IsStream tells whether a path is that of a streaming method, here or of gRPC's own services.
func IsStream(path string) bool {
	return streams()[path] || strings.HasPrefix(path, "/grpc.reflection.") || path == "/grpc.health.v1.Health/Watch"
}

var streams = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	_ = eachMethod(func(procedure string, m protoreflect.MethodDescriptor) error {
		set[procedure] = m.IsStreamingClient() || m.IsStreamingServer()
		return nil
	})
	return set
})

// eachMethod visits every method of every service.
func eachMethod(visit func(procedure string, m protoreflect.MethodDescriptor) error) error {
	for _, name := range Services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return err
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			if err := visit("/"+name+"/"+string(m.Name()), m); err != nil {
				return err
			}
		}
	}
	return nil
}
