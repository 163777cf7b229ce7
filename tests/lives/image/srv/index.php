<?php
echo shell_exec("curl -s -m 2 http://127.0.0.1:9/ ; date +%s");
echo shell_exec("gzip --version | head -1");
mail("a@example.org", "s", "t");
