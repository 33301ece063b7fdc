package metrics

import "strings"

// Section is a table of the reference.
type Section struct {
	Title string
	Rows  []Row
}

// Reference lists every metric of fedmq. Those of the connection are the same
// for aggregator and site, and stand alone.
func Reference() []Section {
	own := func(all []Row) (own []Row) {
		for _, r := range all {
			if !strings.HasPrefix(r.Name, "fedmq_link_") {
				own = append(own, r)
			}
		}
		return own
	}
	var link []Row
	for _, r := range rows(siteMetrics()) {
		if strings.HasPrefix(r.Name, "fedmq_link_") {
			link = append(link, r)
		}
	}
	return []Section{
		{"Aggregator", own(rows(aggregatorMetrics()))},
		{"Site", own(rows(siteMetrics()))},
		{"Connection of an aggregator or a site", link},
		{"Audit log of an aggregator or a site", rows(auditMetrics())},
		{"Embedded broker", rows(brokerMetrics())},
	}
}
