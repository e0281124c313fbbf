package authentication

import "sync/atomic"

// Reviews counts what became of questions to the API server.
type Reviews struct {
	// Yes and No are its words, Failed the questions on which it gave none.
	Yes, No, Failed uint64
	// Kept is how often a word that it had given before was answer enough.
	Kept uint64
}

// ReviewCounter counts for [Reviews]. Its zero value has counted nothing. It is safe for concurrent use.
type ReviewCounter struct{ yes, no, failed, kept atomic.Uint64 }

// Answered counts the API server's word.
func (c *ReviewCounter) Answered(yes bool) {
	if yes {
		c.yes.Add(1)
	} else {
		c.no.Add(1)
	}
}

// Failed counts a question that was not answered.
func (c *ReviewCounter) Failed() { c.failed.Add(1) }

// Kept counts a question that a word given before has answered.
func (c *ReviewCounter) Kept() { c.kept.Add(1) }

// Reviews returns the present figures.
func (c *ReviewCounter) Reviews() Reviews {
	return Reviews{Yes: c.yes.Load(), No: c.no.Load(), Failed: c.failed.Load(), Kept: c.kept.Load()}
}
