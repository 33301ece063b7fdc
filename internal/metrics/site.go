package metrics

import "github.com/fedmq/fedmq/site"

// sitePhases are the values of the label phase.
var sitePhases = []site.Phase{
	site.PhaseIdle, site.PhaseJoining, site.PhaseWaiting, site.PhaseTraining, site.PhaseEvaluating, site.PhaseSending, site.PhaseError,
}

// siteMetrics is the table of a site.
func siteMetrics() []metric[site.Stats] {
	m := func(name string, k kind, help string, f func(site.TaskStats) float64) metric[site.Stats] {
		return metric[site.Stats]{name, k, []string{"task"}, help, func(s site.Stats) (out []value) {
			for _, t := range s.Tasks {
				out = append(out, value{f(t), []string{t.Task}})
			}
			return out
		}}
	}
	return append([]metric[site.Stats]{
		{"fedmq_site_ready", gauge, nil, "1 while subscriptions are granted and every task has welcomed the site.", one(func(s site.Stats) float64 { return truth(s.Ready) })},
		{"fedmq_site_standby", gauge, nil, "1 while the site waits because another process speaks for its member path.", one(func(s site.Stats) float64 { return truth(s.Standby != "") })},
		{"fedmq_site_unverified_total", counter, nil, "Messages that were not of the aggregator, by signature or form.", one(func(s site.Stats) float64 { return float64(s.Unverified) })},
		{"fedmq_site_phase", gauge, []string{"task", "phase"}, "1 for the phase of the status, 0 for the others: idle, joining, waiting, training, evaluating, sending, error.", sitePhase},
		m("fedmq_site_welcomed", gauge, "1 when the aggregator has taken the site in.", func(t site.TaskStats) float64 { return truth(t.Welcomed) }),
		m("fedmq_site_round", gauge, "Round of the last order.", func(t site.TaskStats) float64 { return float64(t.Round) }),
		m("fedmq_site_attempt", gauge, "Attempt of the last order.", func(t site.TaskStats) float64 { return float64(t.Attempt) }),
		m("fedmq_site_progress_ratio", gauge, "Share that is done of training, of the model fetched or of the update sent: 0 to 1.", func(t site.TaskStats) float64 { return t.Progress }),
		m("fedmq_site_samples", gauge, "Training rows.", func(t site.TaskStats) float64 { return float64(t.Samples) }),
		{"fedmq_site_metric", gauge, []string{"task", "metric"}, "What the site measured of a model last, on its own rows.", siteMeasured},
		m("fedmq_site_jobs_total", counter, "Jobs the trainer has done.", func(t site.TaskStats) float64 { return float64(t.Jobs) }),
		{"fedmq_site_jobs_failed_total", counter, []string{"task", "reason"}, "Jobs that left no update: failed, not_finite, cancelled (the round was over), no_model.", failed},
		m("fedmq_site_train_seconds_total", counter, "Seconds the trainer has worked.", func(t site.TaskStats) float64 { return t.TrainSeconds }),
		{"fedmq_site_refused_total", counter, []string{"task", "reason"}, "Messages of this site that the aggregator refused, by the reasons of docs/spec/rounds.md.", siteRefused},
	}, linkMetrics(func(s site.Stats) site.Link { return s.Link })...)
}

func sitePhase(s site.Stats) (out []value) {
	for _, t := range s.Tasks {
		for _, p := range sitePhases {
			out = append(out, value{truth(t.Phase == p), []string{t.Task, string(p)}})
		}
	}
	return out
}

func siteMeasured(s site.Stats) (out []value) {
	for _, t := range s.Tasks {
		for name, v := range t.Metrics {
			out = append(out, value{v, []string{t.Task, name}})
		}
	}
	return out
}

func failed(s site.Stats) (out []value) {
	for _, t := range s.Tasks {
		for reason, n := range t.Failed {
			out = append(out, value{float64(n), []string{t.Task, reason}})
		}
	}
	return out
}

func siteRefused(s site.Stats) (out []value) {
	for _, t := range s.Tasks {
		out = append(out, refusals(t.Task, t.Refused)...)
	}
	return out
}

// Site shows a site.
func Site(m *site.Monitor) Source {
	return newSource(m.Stats, func(s site.Stats) (bool, string) {
		if s.Standby != "" {
			return false, "another process, on host " + s.Standby + ", speaks for this member path; this one waits until that one is silent"
		}
		if why := linkReady(s.Link); why != "" {
			return false, why
		}
		for _, t := range s.Tasks {
			if t.Unheard != "" {
				return false, "task " + t.Task + ": " + t.Unheard
			}
			if !t.Welcomed {
				return false, "task " + t.Task + ": no aggregator has welcomed this site"
			}
		}
		return s.Ready, ""
	}, siteMetrics())
}
