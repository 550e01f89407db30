# The report for people.
def digits($n): (. * pow(10; $n) | round) / pow(10; $n) | tostring;
def wide($n): " " * ([$n - length, 0] | max) + .;
def left($n): . + " " * ([$n - length, 0] | max);

"\(.rounds) rounds of \(.seconds) s, \(.cores) cores shared with the load; in brackets: of the whole shop in one process",
(.measurements | sort_by(.load, .request) | reverse | .[] as $m
| "",
  ("GET \($m.request), \($m.load)" | left(30))
    + if $m.load == "saturation" then ("requests/s" | wide(18)) else ("p50 µs" | wide(18)) + ("p99 µs" | wide(18)) end
    + ("CPU µs/request" | wide(20)) + "  by process",
  (("whole", "direct", "gateway", "gateway-tls") as $way | $m.ways[$way] | .of_whole as $r
  | ("  " + $way | left(30))
    + if $m.load == "saturation"
      then ("\(.requests_per_second | digits(0)) (\($r.requests_per_second | digits(2)))" | wide(18))
      else ("\(.p50_us | digits(0)) (\($r.p50 | digits(2)))" | wide(18))
        + ("\(.p99_us | digits(0)) (\($r.p99 | digits(2)))" | wide(18)) end
    + ("\(.cpu_us_all | digits(0)) (\($r.cpu | digits(2)))" | wide(20))
    + "  " + (.cpu_us | to_entries | map("\(.key) \(.value | digits(0))") | join(" + "))))
