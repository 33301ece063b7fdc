// Package web is the dashboard: one page, embedded, that shows what package
// watch knows of a federation and lets an operator send commands.
//
// Start: New(Config), Listen, Run(ctx), and call Changed after each change of
// the federation, four times a second at most; every open page then gets what
// has changed as one server-sent event.
//
// The page loads nothing from elsewhere and shows what arrives as text, never
// as markup. A command wants the token and a request of the page's own origin.
// The package never speaks MQTT and never acts by itself.
package web
