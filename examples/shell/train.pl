#!/usr/bin/perl
# y = w x + b by gradient descent. A safetensors file: length of a header, header, values (b, w).
use strict; use warnings;
open my $csv, '<', $ARGV[0] or die "$ARGV[0]: $!"; my @rows = map { [split /,/] } <$csv>;
if ($ENV{FEDMQ_WORK} eq 'hello') { printf qq({"type":"hello","version":1,"samples":%d}\n), scalar @rows; exit }
open my $in, '<:raw', $ENV{FEDMQ_MODEL} or die; my $file = do { local $/; <$in> };
my $at = 8 + unpack 'Q<', $file; my ($b, $w) = unpack 'f<2', substr $file, $at;
for (1 .. 20) {
    my ($db, $dw) = (0, 0);
    for my $r (@rows) { my $e = $w * $r->[0] + $b - $r->[1]; $db += $e / @rows; $dw += $e * $r->[0] / @rows }
    $b -= 0.1 * $db; $w -= 0.1 * $dw;
}
open my $out, '>:raw', $ENV{FEDMQ_OUT} or die; print {$out} substr($file, 0, $at), pack 'f<2', $b, $w;
close $out or die; print qq({"type":"done"}\n);
