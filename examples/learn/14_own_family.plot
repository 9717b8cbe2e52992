# A family that did not exist before learns one story by heart.
set xlabel 'step'; set ylabel 'nats a byte'; set yrange [0:7]
plot table using 1:2 with linespoints linetype 1 pointtype 7 pointsize 0.5 title 'loss', log(256) with lines linetype 5 dashtype 2 title 'ln 256'
