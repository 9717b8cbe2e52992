# Rows of x and the direction that backward asks for: always along the circle through x.
set xlabel 'x_1'; set ylabel 'x_2'; set size ratio -1; set xrange [-2.2:2.6]; set yrange [-1.2:1.6]; set key outside right
plot table using 1:2 with points linetype 1 pointtype 7 title 'x', \
     table using (0):(0):1:2 with vectors nohead linecolor '#bbbbbb' dashtype 2 notitle, \
     table using 1:2:(-3 * $3):(-3 * $4) with vectors filled linetype 2 title '-3 dx'
