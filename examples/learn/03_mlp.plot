# The loss while two layers learn the exclusive or.
set xlabel 'step'; set ylabel 'mean squared error'; set yrange [0:*]
plot table using 1:2 with linespoints linetype 1 pointtype 7 pointsize 0.5 notitle
