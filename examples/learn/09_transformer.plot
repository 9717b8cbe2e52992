# The loss of a training batch, from ln 256 down.
set xlabel 'step'; set ylabel 'nats a byte'; set yrange [0:7]
plot table using 1:2 with lines linetype 1 title 'training loss', log(256) with lines linetype 5 dashtype 2 title 'ln 256'
