package wire

// DoctorWord is the payload of a join by which a doctor asks whether the owner
// hears it and may answer (W-42). It is no envelope: no other reader takes it.
const DoctorWord = `{"doctor":true}`
