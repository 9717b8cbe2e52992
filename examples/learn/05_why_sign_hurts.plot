# What rounding to fewer bits costs.
set xlabel 'bits a weight'; set xrange [8.3:0.7]; set logscale y; set format y '%.0e'; set key top left
plot table using 1:2 with linespoints linetype 1 pointtype 7 pointsize 0.6 title 'squared error of the weight, relative', \
     table using 1:3 with linespoints linetype 2 pointtype 7 pointsize 0.6 title 'loss'
