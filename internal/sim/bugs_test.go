package sim

// Bugs are mistakes that a driver could make. The tests of this package switch
// them on one at a time: the checker must find each.
type Bugs struct {
	SendFirst         bool // receipts and orders leave before their transaction
	PublishFirst      bool // what a commit brings leaves before its transaction
	EpochForgotten    bool // a start does not make its epoch durable
	AbandonUnrecorded bool // an abandoned attempt leaves no record
	ModelUnsynced     bool // the next model is not synced before the commit
	KeptUnchecked     bool // a kept update is accepted again though it is torn
	SettledSilent     bool // who asks about a round that is over gets no answer
	NeedIgnored       bool // members ask for parts, and nobody listens
	TopicsUnwatched   bool // the broker's copies of own topics are not looked at
	EntryFirst        bool // an entry is in the outbox before the bytes of its update are written
	LoadUnchecked     bool // a site trains on a model that it did not check
	KeepSubscribed    bool // a site stays subscribed to parts that have come
}
