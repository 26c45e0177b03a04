module example.com/host

go 1.26.0

require github.com/sdr-engine/sdr v0.0.0

replace github.com/sdr-engine/sdr => ../../..
