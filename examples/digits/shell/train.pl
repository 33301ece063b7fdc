#!/usr/bin/perl
# Handwritten digits: what trains at one site, without any library. fedmq site
# runs it for each request (mode: per_round); the request is its environment.
# The model is softmax regression: one tensor, 10 rows of a bias and 64 weights.
use strict; use warnings; use List::Util qw(max sum);

my (@train, @test);    # rows of label, 1, pixels
open my $csv, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
<$csv>;
while (<$csv>) { chomp; my ($t, $label, @p) = split /,/; push @{$t ? \@test : \@train}, [$label, 1, map { $_ / 16 } @p]; }

my $work = $ENV{FEDMQ_WORK};
if ($work eq 'hello') { printf "{\"type\":\"hello\",\"version\":1,\"samples\":%d,\"evaluate\":true,\"init\":true}\n", scalar @train; exit; }

# A safetensors file is the length of a header, the header, and the values.
my ($header, @w) = ('{"weight":{"dtype":"F32","shape":[10,65],"data_offsets":[0,2600]}}', (0) x 650);
if ($ENV{FEDMQ_MODEL}) {
    open my $in, '<:raw', $ENV{FEDMQ_MODEL} or die "$ENV{FEDMQ_MODEL}: $!\n";
    local $/; my $file = <$in>;
    my $n = unpack 'Q<', $file;
    ($header, @w) = (substr($file, 8, $n), unpack 'f<*', substr($file, 8 + $n));
}

sub softmax {
    my $row = shift;
    my @z = map { my $k = $_; sum map { $w[65 * $k + $_] * $row->[$_ + 1] } 0 .. 64 } 0 .. 9;
    my $top = max @z; @z = map { exp($_ - $top) } @z;
    my $all = sum @z; return map { $_ / $all } @z;
}

if ($work eq 'evaluate') {
    my %sum = (n => scalar @test, correct => 0, loss => 0);
    for my $row (@test) {
        my @p = softmax($row);
        my ($best) = grep { $p[$_] == max @p } 0 .. 9;
        $sum{correct}++ if $best == $row->[0];
        $sum{loss} -= log($p[$row->[0]] + 1e-12);
    }
    printf "{\"type\":\"done\",\"metrics\":{%s}}\n", join ',', map { "\"$_\":$sum{$_}" } sort keys %sum;
    exit;
}
if ($work eq 'train') {
    my ($lr) = $ENV{FEDMQ_SETTINGS} =~ /"lr":([0-9.e-]+)/ or die "settings without lr\n";
    for my $row (@train) {    # one pass, in the order of the file
        my @p = softmax($row); $p[$row->[0]] -= 1;
        for my $k (0 .. 9) { $w[65 * $k + $_] -= $lr * $p[$k] * $row->[$_ + 1] for 0 .. 64; }
    }
}
open my $out, '>:raw', $ENV{FEDMQ_OUT} or die "$ENV{FEDMQ_OUT}: $!\n";
print {$out} pack('Q<', length $header), $header, pack('f<*', @w) or die $!;
close $out or die $!;
print "{\"type\":\"done\"}\n";
