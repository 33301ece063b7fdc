package metrics

import (
	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/round"
)

// aggregatorPhases are the values of the label phase.
var aggregatorPhases = []string{string(round.Idle), string(round.Open), string(round.Closing), string(round.Waiting), string(round.Halted)}

// ofTask is a number for each task of an aggregator.
func ofTask(f func(aggregator.TaskStats) float64) func(aggregator.Stats) []value {
	return func(s aggregator.Stats) (out []value) {
		for _, t := range s.Tasks {
			out = append(out, value{f(t), []string{t.Task}})
		}
		return out
	}
}

// aggregatorMetrics is the table of an aggregator.
func aggregatorMetrics() []metric[aggregator.Stats] {
	m := func(name string, k kind, help string, f func(aggregator.TaskStats) float64) metric[aggregator.Stats] {
		return metric[aggregator.Stats]{name, k, []string{"task"}, help, ofTask(f)}
	}
	return append([]metric[aggregator.Stats]{
		{"fedmq_aggregator_ready", gauge, nil, "1 while subscriptions are granted and what is published comes back.", one(func(s aggregator.Stats) float64 { return truth(s.Ready) })},
		m("fedmq_aggregator_epoch", gauge, "Epoch: starts of the aggregator, for the task.", func(t aggregator.TaskStats) float64 { return float64(t.Epoch) }),
		m("fedmq_aggregator_round", gauge, "Current round.", func(t aggregator.TaskStats) float64 { return float64(t.Round) }),
		m("fedmq_aggregator_attempt", gauge, "Current attempt of the round.", func(t aggregator.TaskStats) float64 { return float64(t.Attempt) }),
		m("fedmq_aggregator_model_version", gauge, "Version of the model that the round begins with.", func(t aggregator.TaskStats) float64 { return float64(t.Version) }),
		{"fedmq_aggregator_phase", gauge, []string{"task", "phase"}, "1 for the phase the task is in, 0 for the others: idle, open, closing, waiting (after abandoned attempts), halted (paused, stopped, finished).", phases},
		m("fedmq_aggregator_members", gauge, "Members welcomed.", func(t aggregator.TaskStats) float64 { return float64(t.Members) }),
		m("fedmq_aggregator_contested", gauge, "Members that two processes claim; round and event name their hosts.", func(t aggregator.TaskStats) float64 { return float64(t.Contested) }),
		m("fedmq_aggregator_cohort", gauge, "Members asked in the open attempt.", func(t aggregator.TaskStats) float64 { return float64(t.Cohort) }),
		m("fedmq_aggregator_accepted", gauge, "Members whose update is accepted in the open attempt.", func(t aggregator.TaskStats) float64 { return float64(t.Accepted) }),
		{"fedmq_aggregator_attempts_total", counter, []string{"task", "verdict"}, "Attempts that ended, committed or abandoned.", attempts},
		m("fedmq_aggregator_attempts_seconds_total", counter, "Seconds from open to committed or abandoned, of all of these together.", func(t aggregator.TaskStats) float64 { return t.RoundSeconds }),
		{"fedmq_aggregator_refused_total", counter, []string{"task", "reason"}, "Messages of members refused, by the reasons of docs/spec/rounds.md.", refused},
		m("fedmq_aggregator_receive_bytes_total", counter, "Bytes of MQTT payload received of members.", func(t aggregator.TaskStats) float64 { return float64(t.BytesUp) }),
		m("fedmq_aggregator_transmit_bytes_total", counter, "Bytes of MQTT payload published for members: orders, models, records.", func(t aggregator.TaskStats) float64 { return float64(t.BytesDown) }),
		m("fedmq_aggregator_need_bytes_total", counter, "Bytes of model parts published again because members asked for them (`need`).", func(t aggregator.TaskStats) float64 { return float64(t.NeedBytes) }),
		{"fedmq_aggregator_uploads", gauge, []string{"task", "state"}, "Updates that arrive in parts, running or waiting for a place.", uploads},
		{"fedmq_aggregator_metric", gauge, []string{"task", "metric"}, "What the sites measured of a model last, over all their rows, by the names of docs/ref/config.md and the trainers' own.", measured(func(t aggregator.TaskStats) map[string]float64 { return t.Metrics })},
		{"fedmq_aggregator_metric_guess", gauge, []string{"task", "metric"}, "What the best constant guess over the same rows has.", measured(func(t aggregator.TaskStats) map[string]float64 { return t.Guess })},
		m("fedmq_aggregator_export_errors_total", counter, "Records that could not be written to records/; they are in state.db. Any other failure of the disk ends the process.", func(t aggregator.TaskStats) float64 { return float64(t.ExportErrors) }),
	}, linkMetrics(func(s aggregator.Stats) aggregator.Link { return s.Link })...)
}

// measured shows named numbers of each task.
func measured(of func(aggregator.TaskStats) map[string]float64) func(aggregator.Stats) []value {
	return func(s aggregator.Stats) (out []value) {
		for _, t := range s.Tasks {
			for name, v := range of(t) {
				out = append(out, value{v, []string{t.Task, name}})
			}
		}
		return out
	}
}

func phases(s aggregator.Stats) (out []value) {
	for _, t := range s.Tasks {
		for _, p := range aggregatorPhases {
			out = append(out, value{truth(t.Phase == p), []string{t.Task, p}})
		}
	}
	return out
}

func attempts(s aggregator.Stats) (out []value) {
	for _, t := range s.Tasks {
		out = append(out, value{float64(t.Committed), []string{t.Task, "committed"}}, value{float64(t.Abandoned), []string{t.Task, "abandoned"}})
	}
	return out
}

func refused(s aggregator.Stats) (out []value) {
	for _, t := range s.Tasks {
		out = append(out, refusals(t.Task, t.Refused)...)
	}
	return out
}

func uploads(s aggregator.Stats) (out []value) {
	for _, t := range s.Tasks {
		out = append(out, value{float64(t.UploadsRunning), []string{t.Task, "running"}}, value{float64(t.UploadsWaiting), []string{t.Task, "waiting"}})
	}
	return out
}

// Aggregator shows an aggregator.
func Aggregator(m *aggregator.Monitor) Source {
	return newSource(m.Stats, func(s aggregator.Stats) (bool, string) {
		if why := linkReady(s.Link); why != "" {
			return false, why
		}
		if !s.Ready {
			return false, "what is published does not come back yet"
		}
		return true, ""
	}, aggregatorMetrics())
}
