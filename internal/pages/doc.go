// Package pages holds the test that runs the README, the tutorials,
// docs/explain/newcomer.md and the how-tos about data of one's own, and nothing else: every shell
// block of a page, in order, in a fresh copy of the repository, with a free port for 1883.
//
// Start with "make quickstart". Without FEDMQ_TEST_PAGES the pages are only
// read: a block that would not be run, and does not say why, is an error. What
// a comment on a line of its own may say to the test:
//
//	<!-- run NAME -->          before a block: its output gets a name
//	<!-- background NAME -->   before a block: one command, a process to the end of the page
//	<!-- skip: REASON -->      before a block: it is not run
//	<!-- output of NAME -->    before a fence without a language: each line comes, in any order;
//	                           any number stands for any other, ... for anything
//	<!-- expect NAME: REGEXP -->  wait for a line of output
//	<!-- stop NAME -->         Ctrl-C; the exit code must be 0
//	<!-- kill NAME -->         SIGKILL
//
// A block with no comment is run to its end; its exit code must be 0. A name
// followed by ", with VARIANT" is a block of that variant alone: the page is run
// once for each.
package pages
