package wire

// Reasons of a decline (S-17). Of a later version there may be others.
const (
	DeclineNoData      = "no_data"           // no training rows
	DeclineSetting     = "unknown_setting"   // the trainer does not know a setting of the order (S-43)
	DeclineUnsupported = "unsupported"       // the trainer cannot do this work
	DeclineSchema      = "schema_mismatch"   // order and model do not fit
	DeclineContract    = "contract_mismatch" // the trainer means something else by the model than the order's contract (S-52)
	DeclineFailed      = "trainer_failed"    // the trainer returned an error
	DeclineNotFinite   = "not_finite"        // the trained model is not finite
	DeclineTooLarge    = "too_large"         // the update's offer does not fit one part
	DeclineRefused     = "refused"           // an update for this work was refused for good (S-13)
)
