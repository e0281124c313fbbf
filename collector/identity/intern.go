package identity

import "github.com/nodevitals/nodevitals/snapshot"

// interner gives the same pointer for the same identity. It learns nothing of removed cgroups, so it forgets in turns: what was not
// asked for between two turns is dropped by the second. Memory is bounded by twice the living cgroups and two turns' newcomers.
type interner struct {
	young, old map[string]*snapshot.Identity
	newcomers  int
}

// newcomersPerTurn is after how many identities that were not in the cache it takes a turn.
const newcomersPerTurn = 1024

// intern returns the pointer to an identity equal to this one, and whether it is a new one.
func (c *interner) intern(identity snapshot.Identity) (known *snapshot.Identity, fresh bool) {
	known = c.young[identity.ID]
	if known == nil {
		known = c.old[identity.ID]
	}
	if known == nil {
		c.newcomers++
	}
	if c.young == nil || c.newcomers > newcomersPerTurn {
		c.young, c.old, c.newcomers = make(map[string]*snapshot.Identity, len(c.young)), c.young, 0
	}
	if known == nil || *known != identity {
		// A copy, so that the argument itself stays on the stack where nothing is new.
		one := identity
		known, fresh = &one, true
	}
	c.young[identity.ID] = known
	return known, fresh
}
