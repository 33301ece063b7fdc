package sim

// strike does a fault.
func (w *World) strike(f Fault) {
	w.note(noteFault, f.Node, uint64(f.Kind), uint64(f.For), uint64(f.Fuse)) // small
	w.say("%+v", f)
	c, p := w.nodeOf(f.Node)
	switch f.Kind {
	case Kill:
		if p != nil && !p.dead {
			p.fuse, p.loss = f.Fuse, f.Loss
		}
	case Partition:
		w.partition(c, f.For)
	case DropLink:
		if c != nil {
			c.lost()
		}
	case Restart:
		w.broker.restart(f.Loss, f.For)
	case Forget:
		if list := w.broker.topics(); len(list) > 0 {
			delete(w.broker.retained, list[f.Pick%len(list)])
		}
	case ForgetAll:
		clear(w.broker.retained)
	case OldBack:
		h := w.broker.history[topic{kind: topicKind(f.Pick % 3)}] // below 3
		if len(h) > 0 {
			m := h[f.Pick/3%len(h)]
			w.broker.retained[m.topic] = m
			w.broker.route(m)
		}
	case Deaf:
		if c != nil && c.up {
			c.deaf = ^uint(0)
			clear(c.parts)
		}
	case Disturb:
		w.noise = f.Noise
		w.at(f.For, func() {
			if w.noise == f.Noise {
				w.noise = Noise{}
			}
		})
	case Operator:
		w.command(w.active(), f.Op)
	case Takeover:
		w.takeover(f)
	case Rollback:
		w.rollback(f)
	case OlderCopy:
		w.olderCopy(f)
	case Emptied:
		w.emptied(f)
	case faultKinds:
	}
}

func (w *World) nodeOf(node int) (*client, *process) {
	if node < 0 || node >= len(w.sites) {
		a := w.active()
		return a.conn, a.p
	}
	s := w.sites[node]
	return s.conn, s.p
}

// partition cuts a client off; it notices late, or not at all.
func (w *World) partition(c *client, lasts ms) {
	if c == nil || !c.up {
		return
	}
	c.cut = true
	life := c.life
	w.at(w.between(0, 90_000), func() {
		if c.cut && c.life == life {
			c.lost()
		}
	})
	w.at(lasts, func() {
		if c.cut {
			c.cut = false
			c.lost() // what was sent meanwhile is gone, and so is the connection
		}
	})
}

// takeover starts another aggregator on the disk of the first one, which is cut
// off for a while and does not know.
func (w *World) takeover(f Fault) {
	a := w.active()
	if a.p == nil || a.p.dead || !a.started() || a.conn == nil || a.disk.state == nil || len(w.aggs) > 1 {
		return
	}
	w.partition(a.conn, f.For)
	a.conn.cut = true
	a.over = true // its disk belongs to the other one from now on: it does not start again
	b := w.newAgg(1, a.disk.copy())
	a.disk.gone = true
	w.aggs = append(w.aggs, b)
	w.check.takeover()
	b.start()
}

// rollback puts a site's directory back to what it is now, a while later.
func (w *World) rollback(f Fault) {
	if f.Node < 0 || f.Node >= len(w.sites) {
		return
	}
	s := w.sites[f.Node]
	backup := s.disk.copy()
	w.at(min(f.For, w.plan.QuietAt-w.now), func() {
		if s.p != nil {
			s.p.kill()
		}
		s.disk = backup
		w.check.restored(s)
		w.note(noteFault, s.i, uint64(Rollback), 1, 0)
	})
}

// emptied ends a site and takes its directory away.
func (w *World) emptied(f Fault) {
	if f.Node < 0 || f.Node >= len(w.sites) {
		return
	}
	s := w.sites[f.Node]
	if s.p != nil {
		s.p.kill()
	}
	s.disk = newSiteDisk()
	s.empty++
	s.waits, s.waitTo = 0, 0
	w.check.emptied(s)
	w.note(noteFault, s.i, uint64(Emptied), 1, 0)
}
