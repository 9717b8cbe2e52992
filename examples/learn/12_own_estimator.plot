# One's own estimator beside the shipped one.
set xlabel 'x'; set key top left; set xrange [-1.5:1.5]; set yrange [-1.5:1.8]
plot table using 1:2 with lines linetype 2 dashtype 3 title 'G(x, 1)', table using 1:3 with lines linetype 2 title 'G(x, 4)', \
     table using 1:5 with lines linetype 1 dashtype 3 title 'F(x, 1)', table using 1:6 with lines linetype 1 title 'F(x, 4)'
