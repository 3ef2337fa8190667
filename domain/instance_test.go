package domain_test

import (
	"testing"

	"github.com/tenurehq/tenure/domain"
)

var instanceRows = []row{
	{
		name: "begins the log", unborn: true, by: system,
		when: domain.CreateInstance{LogID: "log", Pepper: "pep", SealingKey: "seal", IdempotencyCapacity: 7},
		then: `instance_created{log_id:"log" pepper_id:"pep" sealing_key_id:"seal" idempotency_capacity:7}`,
	}, {
		name: "begins it once", by: system,
		when: domain.CreateInstance{LogID: "other", Pepper: "other", SealingKey: "other", IdempotencyCapacity: 7},
	}, {
		name: "another pepper", by: system, when: domain.IntroducePepper{Pepper: "pep2"},
		then: `pepper_introduced{old_pepper_id:"pep" new_pepper_id:"pep2"}`,
	}, {
		name: "the same pepper", by: system, when: domain.IntroducePepper{Pepper: "pep"},
	}, {
		name: "an earlier pepper again", by: system, given: []domain.Command{domain.IntroducePepper{Pepper: "pep2"}},
		when: domain.IntroducePepper{Pepper: "pep"},
		then: `pepper_introduced{old_pepper_id:"pep2" new_pepper_id:"pep"}`,
	},
}

func TestPeppers(t *testing.T) {
	t.Parallel()
	if p := (domain.Instance{}).Pepper(); p != "" {
		t.Errorf("before the first commit new keys are made with pepper %q", p)
	}
	s := given(t, domain.IntroducePepper{Pepper: "pep2"})
	if p := s.Instance.Pepper(); p != "pep2" || len(s.Instance.Peppers) != 2 {
		t.Errorf("got %q of %q, want pep2, and pep still known", p, s.Instance.Peppers)
	}
}
