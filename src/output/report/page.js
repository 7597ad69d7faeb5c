// Draws the pictures of the page from its numbers. Names from files are only ever text: labels are SVG text, tooltips are drawn
// (`renderMode: 'richText'`) and not HTML.
'use strict';
(function () {
  const data = JSON.parse(document.getElementById('data').textContent);
  const charts = [];
  let colors = {};

  function readColors() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ['paper', 'panel', 'ink', 'soft', 'line', 'accent', 'band', 'loss', 'loss-soft', 'gain', 'heat0', 'heat1',
      'heat2', 'heat3', 's1', 's2', 's3', 's4', 's5', 's6', 's7', 's8']) {
      colors[name] = style.getPropertyValue('--' + name).trim();
    }
  }

  // Numbers for readers: three digits, thousands apart.
  function number(value, digits = 3) {
    if (value === null || value === undefined) return 'n/a';
    const size = Math.abs(value);
    const decimals = size === 0 ? 0 : Math.max(0, Math.min(8, digits - 1 - Math.floor(Math.log10(size))));
    const text = size.toLocaleString('en-US', { maximumFractionDigits: decimals });
    return (value < 0 && /[1-9]/.test(text) ? '\u2212' : '') + text;
  }
  const percent = (value, digits = 3) => (value === null ? 'n/a' : number(100 * value, digits) + ' %');
  const interval = (triple, show = number) => `${show(triple[0])} [${show(triple[1])}, ${show(triple[2])}]`;
  const days = (value) => (value === 1 ? '1 day' : `${value} days`);
  // The next of 1, 2, 2.5 and 5 times a power of ten.
  function round(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= value * (1 - 1e-9));
  }
  // Pixels that the longest of some texts takes.
  const ruler = document.createElement('canvas').getContext('2d');
  function longest(texts, font) {
    ruler.font = `${font} system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif`;
    return Math.ceil(Math.max(0, ...texts.map((text) => ruler.measureText(text).width)));
  }
  const clipped = (name, length) => (name.length > length ? name.slice(0, length - 1) + '\u2026' : name);

  function base(width) {
    return {
      animation: false,
      textStyle: { fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif', color: colors.ink },
      tooltip: {
        renderMode: 'richText', confine: true, backgroundColor: colors.paper, borderColor: colors.line, borderWidth: 1,
        textStyle: { color: colors.ink, fontSize: 12 }, padding: 8,
      },
      grid: { left: 8, right: 14, top: 34, bottom: 30, containLabel: true },
      legend: { top: 0, left: 0, itemWidth: 16, itemHeight: 8, textStyle: { color: colors.soft, fontSize: 12 } },
    };
  }

  function axis(extra) {
    const { axisLabel, ...rest } = extra || {};
    return {
      type: 'value', nameLocation: 'middle', nameGap: 28, nameTextStyle: { color: colors.soft, fontSize: 12 },
      axisLine: { lineStyle: { color: colors.line } }, axisTick: { show: false },
      splitLine: { lineStyle: { color: colors.line, opacity: 0.7 } },
      axisLabel: { color: colors.soft, fontSize: 11, hideOverlap: true, formatter: (value) => number(value), ...axisLabel }, ...rest,
    };
  }

  // A band between two lists of values over the same places, as one polygon.
  function band(name, low, high, color, opacity) {
    return {
      name, type: 'custom', data: [0], silent: true, tooltip: { show: false }, itemStyle: { color }, z: 1, clip: true,
      encode: { x: -1, y: -1 },
      renderItem: (params, api) => ({
        type: 'polygon',
        shape: { points: [...low.map((at) => api.coord(at)), ...[...high].reverse().map((at) => api.coord(at))] },
        style: { fill: color, opacity },
      }),
    };
  }

  // Whiskers of intervals: data are [x, low, high], or [low, high, index] when lying.
  function whiskers(items, color, lying) {
    return {
      type: 'custom', silent: true, z: 5, data: items, tooltip: { show: false }, legendHoverLink: false,
      encode: lying ? { x: [0, 1], y: 2 } : { x: 0, y: [1, 2] },
      renderItem: (params, api) => {
        const [a, b] = lying
          ? [api.coord([api.value(0), api.value(2)]), api.coord([api.value(1), api.value(2)])]
          : [api.coord([api.value(0), api.value(1)]), api.coord([api.value(0), api.value(2)])];
        const [dx, dy] = lying ? [0, 4] : [4, 0];
        const line = (x1, y1, x2, y2) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 1.2 } });
        return { type: 'group', children: [line(a[0], a[1], b[0], b[1]), line(a[0] - dx, a[1] - dy, a[0] + dx, a[1] + dy),
          line(b[0] - dx, b[1] - dy, b[0] + dx, b[1] + dy)] };
      },
    };
  }

  const finite = (triple) => triple && triple.every((value) => value !== null);

  // Distribution of profit and loss -------------------------------------------------------------------------------------------
  let shown = 0;
  const basisNames = { mark: 'at spot', liquidation: 'on liquidation', exit: 'on exit over days' };

  function distribution(width) {
    const found = data.distribution[shown];
    const total = found.samples;
    const bars = found.counts.map((count, index) => [found.low + index * found.width, found.low + (index + 1) * found.width, count / total]);
    const tail = found.lines[0] && found.lines[0].loss ? -found.lines[0].loss[0] : -Infinity;
    const top = Math.max(...bars.map((bar) => bar[2]));
    const narrow = width < 560;
    // The farthest to the left stands highest, so that no line crosses the name of another.
    const lines = found.lines.filter((line) => line.loss).map((line) => ({ ...line, at: -line.loss[0] }))
      .sort((a, b) => a.at - b.at).map((line, index) => ({ ...line, index }));
    const option = base(width);
    return {
      ...option,
      legend: { show: false },
      grid: { ...option.grid, top: 14 + 17 * lines.length, bottom: 34 },
      xAxis: axis({ name: `P&L ${basisNames[found.basis]}, ${found.currency}`, min: found.low, max: bars[bars.length - 1][1], splitLine: { show: false }, splitNumber: narrow ? 4 : 8, axisLabel: { showMinLabel: false, showMaxLabel: false } }),
      yAxis: axis({ axisLabel: { formatter: (value) => percent(value), showMaxLabel: false }, max: top * 1.04, splitNumber: 4 }),
      series: [{
        type: 'custom', data: bars, encode: { x: [0, 1], y: 2 }, z: 2,
        renderItem: (params, api) => {
          const [x0, y0] = api.coord([api.value(0), api.value(2)]);
          const [x1, y1] = api.coord([api.value(1), 0]);
          const middle = (api.value(0) + api.value(1)) / 2;
          const fill = middle <= tail ? colors.loss : middle < 0 ? colors['loss-soft'] : colors.gain;
          return { type: 'rect', shape: { x: x0 + 0.5, y: y0, width: Math.max(x1 - x0 - 1, 1), height: y1 - y0 }, style: { fill } };
        },
        tooltip: {
          formatter: ({ value }) => {
            const count = Math.round(value[2] * total);
            const p = value[2], error = 1.96 * Math.sqrt(p * (1 - p) / total);
            return `${number(value[0], 4)} to ${number(value[1], 4)} ${found.currency}\n${percent(p)} \u00b1 ${percent(error, 2)} of futures (${number(count, 9)})`;
          },
        },
        markLine: {
          symbol: 'none', silent: true, animation: false, precision: 12,
          data: lines.map((line) => ({
            xAxis: line.at,
            lineStyle: { color: line.name.startsWith('VaR') ? colors.loss : colors.ink, type: line.name.startsWith('VaR') ? 'solid' : 'dashed', width: 1.2 },
            label: { show: false },
          })),
        },
      }, {
        // Names of the lines, each on a line of its own above the picture.
        type: 'custom', data: lines.map((line) => [line.at, top * 1.04, line.index]), silent: true, clip: false, z: 6, tooltip: { show: false },
        encode: { x: 0, y: 1 },
        renderItem: (params, api) => {
          const [x, y] = api.coord([api.value(0), api.value(1)]);
          const line = lines[params.dataIndex];
          const up = 8 + 17 * (lines.length - 1 - line.index);
          const color = line.name.startsWith('VaR') ? colors.loss : colors.ink;
          return { type: 'group', children: [
            { type: 'line', shape: { x1: x, y1: y, x2: x, y2: y - up }, style: { stroke: color, lineWidth: 1.2, lineDash: line.name.startsWith('VaR') ? null : [4, 4] } },
            { type: 'text', style: { text: `${line.name}: ${number(line.loss[0], 4)} [${number(line.loss[1], 4)}, ${number(line.loss[2], 4)}]`, x: x + 5, y: y - up - 6, fill: color, fontSize: 12, fontFamily: option.textStyle.fontFamily } },
          ] };
        },
      }],
    };
  }

  function controls() {
    const place = document.getElementById('controls-distribution');
    if (!place || data.distribution.length < 2) return;
    const group = (key, name) => {
      const box = document.createElement('div');
      for (const value of [...new Set(data.distribution.map((found) => found[key]))]) {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = name(value);
        button.dataset.key = key;
        button.dataset.value = value;
        button.addEventListener('click', () => {
          const now = { ...data.distribution[shown], [key]: value };
          shown = Math.max(0, data.distribution.findIndex((found) => found.basis === now.basis && found.currency === now.currency));
          press();
          draw('distribution');
        });
        box.append(button);
      }
      place.append(box);
    };
    const press = () => place.querySelectorAll('button').forEach((button) => {
      button.setAttribute('aria-pressed', String(data.distribution[shown][button.dataset.key] === button.dataset.value));
    });
    group('currency', (value) => value);
    group('basis', (value) => basisNames[value].replace(/^./, (first) => first.toUpperCase()));
    press();
  }

  // Fans ----------------------------------------------------------------------------------------------------------------------
  // Quantile lines of `levels` at `points`, paired from outside in: bands, the middle, points with intervals.
  function fan(points, levels, unit) {
    const usable = levels.length ? points.filter((point) => point.quantiles.every((triple) => triple)) : [];
    const of = (index) => usable.map((point) => [point.days, point.quantiles[index][0]]);
    const place = (level) => levels.findIndex((other) => Math.abs(level - other) < 1e-9);
    const lower = levels.map((level, index) => index).filter((index) => levels[index] < 0.5 && place(1 - levels[index]) >= 0);
    const series = lower.map((index, order) => band('', of(index), of(place(1 - levels[index])), colors.band, 0.28 + 0.2 * order));
    // The points carry the tooltip; they are those of the median, or of what is nearest to it.
    const middle = place(0.5) >= 0 ? place(0.5) : Math.floor(levels.length / 2);
    series.push({
      name: 'median', type: 'line', data: of(middle), symbol: 'circle', symbolSize: 6, z: 4,
      lineStyle: { color: colors.accent, width: place(0.5) >= 0 ? 2 : 0 }, itemStyle: { color: colors.accent },
    });
    const tooltip = (at) => {
      const point = usable.find((candidate) => candidate.days === at);
      if (!point) return '';
      const line = (triple, index) => `${percent(levels[index])}: ${interval(triple, (value) => number(value, 4))}`;
      return `${days(at)}, quantiles${unit ? ', ' + unit : ''}\n` + point.quantiles.map(line).reverse().join('\n');
    };
    const outer = usable.flatMap((point) => [point.quantiles[0][0], point.quantiles[levels.length - 1][0]]);
    return { series, tooltip, outer };
  }

  // Ends of an axis that holds all of `values`, round and not far beyond them.
  function ends(values) {
    if (!values.length) return {};
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const step = round((high - low || Math.abs(high) || 1) / 5);
    return { min: Math.max(low >= 0 ? 0 : -Infinity, Math.floor(low / step) * step), max: Math.ceil(high / step) * step, interval: step };
  }

  function dayAxis(extra) { return axis({ name: 'days', min: 0, splitLine: { show: false }, ...extra }); }

  function value(width) {
    const option = base(width);
    const { series, tooltip, outer } = fan(data.value.points, data.value.levels, 'TAO');
    const last = data.value.points[data.value.points.length - 1].days;
    const worst = data.tail.map((story) => ({
      name: `path ${story.path}`, type: 'line', data: story.values, symbol: 'none', silent: true, z: 3, tooltip: { show: false },
      lineStyle: { color: colors.loss, width: 1, opacity: 0.75 }, itemStyle: { color: colors.loss },
    }));
    return {
      ...option,
      legend: { show: false },
      grid: { ...option.grid, top: 12 },
      tooltip: { ...option.tooltip, trigger: 'item', formatter: ({ value: at }) => tooltip(at[0]) },
      xAxis: dayAxis({ max: last }),
      yAxis: axis(ends([...outer, ...data.tail.flatMap((story) => story.values.map((at) => at[1]))])),
      series: [...series, ...worst, {
        type: 'line', data: [], silent: true, markLine: {
          silent: true, symbol: 'none', data: [{ yAxis: data.value.opening }], lineStyle: { color: colors.soft, type: 'dotted' },
          label: { formatter: 'today', color: colors.soft, position: 'insideEndTop', fontSize: 11 },
        },
      }],
    };
  }

  function price(found) {
    return (width) => {
      const option = base(width);
      const { series, tooltip, outer } = fan(found.points, found.levels, '');
      const last = found.points.length ? found.points[found.points.length - 1].days : 1;
      return {
        ...option,
        legend: { show: false },
        grid: { ...option.grid, top: 10, bottom: 24 },
        tooltip: { ...option.tooltip, trigger: 'item', formatter: ({ value: at }) => tooltip(at[0]) },
        xAxis: dayAxis({ max: last, nameGap: 22 }),
        yAxis: axis(ends([...outer, ...found.tracks.flatMap((track) => track.map((at) => at[1]))])),
        series: [...series, ...found.tracks.map((track) => ({
          type: 'line', data: track, symbol: 'none', silent: true, z: 3, tooltip: { show: false },
          lineStyle: { color: colors.ink, width: 0.8, opacity: 0.45 },
        }))],
      };
    };
  }

  function tail(width) {
    const option = base(width);
    const last = Math.max(...data.tail.flatMap((story) => story.values.map((at) => at[0])));
    return {
      ...option,
      tooltip: { ...option.tooltip, trigger: 'axis', formatter: (items) => `Day ${number(items[0].value[0], 4)}\n` + items.map((item) => `${item.seriesName}: ${number(item.value[1], 4)} TAO`).join('\n') },
      xAxis: dayAxis({ max: last }),
      yAxis: axis(ends(data.tail.flatMap((story) => story.values.map((at) => at[1])))),
      series: data.tail.map((story, index) => ({
        name: `Path ${story.path}`, type: 'line', data: story.values, symbol: 'none',
        lineStyle: { color: colors[['loss', 's4', 's5'][index]], width: 1.8 }, itemStyle: { color: colors[['loss', 's4', 's5'][index]] },
      })),
    };
  }

  // Drawdown ------------------------------------------------------------------------------------------------------------------
  function drawdown(width) {
    const option = base(width);
    const curves = data.drawdown;
    const last = curves[curves.length - 1];
    // Where fewer than one in a thousand falls so far, at the last horizon.
    const rare = last.points.find((point) => point[1][0] < 0.001) || last.points[last.points.length - 1];
    const end = Math.min(1, Math.ceil(rare[0] * 20 - 1e-9) / 20);
    const palette = ['s3', 's4', 's5', 's1', 's6', 's7'];
    const color = (index) => (index === curves.length - 1 ? colors.loss : colors[palette[index % palette.length]]);
    const at = (index) => last.points.map((point) => [point[0], point[1][index]]);
    return {
      ...option,
      tooltip: {
        ...option.tooltip, trigger: 'axis',
        formatter: (items) => {
          const place = items[0].value[0];
          const lines = curves.map((curve) => {
            const point = curve.points.find((candidate) => Math.abs(candidate[0] - place) < 1e-9);
            return point ? `${days(curve.days)}: ${interval(point[1], percent)}` : '';
          });
          return [`A fall of at least ${percent(place)}`, ...lines.filter((line) => line)].join('\n');
        },
      },
      xAxis: axis({ name: 'largest fall from a peak', max: end, axisLabel: { formatter: (value) => percent(value) }, splitLine: { show: false } }),
      yAxis: axis({ max: 1, axisLabel: { formatter: (value) => percent(value) } }),
      series: [
        band('', at(1), at(2), colors.soft, 0.3),
        ...curves.map((curve, index) => ({
          name: days(curve.days), type: 'line', symbol: 'none', data: curve.points.map((point) => [point[0], point[1][0]]),
          lineStyle: { color: color(index), width: 1.8 }, itemStyle: { color: color(index) }, z: 3,
        })),
      ],
    };
  }

  // Bars with whiskers --------------------------------------------------------------------------------------------------------
  function lyingBars(width, items, unit, tooltip, colorOf) {
    const option = base(width);
    const narrow = width < 560;
    const short = (name) => clipped(name, narrow ? 15 : 30);
    const left = 12 + longest(items.map((item) => short(item.name)), '12px');
    return {
      ...option,
      legend: { show: false },
      grid: { left, right: 24, top: 4, bottom: 46, containLabel: false },
      tooltip: { ...option.tooltip, trigger: 'item', formatter: ({ dataIndex }) => tooltip(items[dataIndex]) },
      xAxis: axis({ name: unit, splitNumber: narrow ? 3 : 6, axisLabel: { hideOverlap: true } }),
      yAxis: axis({
        type: 'category', inverse: true, data: items.map((item) => item.name), splitLine: { show: false },
        axisLabel: { color: colors.ink, fontSize: 12, interval: 0, formatter: short },
      }),
      series: [
        { type: 'bar', barWidth: '62%', data: items.map((item) => ({ value: item.value[0], itemStyle: { color: colorOf(item) } })) },
        whiskers(items.map((item, index) => [item.value[1], item.value[2], index]).filter((item) => finite(item)), colors.ink, true),
      ],
    };
  }

  const components = (width) => lyingBars(width, data.components, 'TAO', (item) => {
    const share = item.share === null ? '' : `\n${percent(item.share)} of the shortfall`;
    const held = item.of_book === null ? '' : `, ${percent(item.of_book)} of the book`;
    return `${item.name}\n${interval(item.value)} TAO${share}${held}`;
  }, (item) => (item.value[0] < 0 ? colors.gain : item.of_book !== null && item.share > item.of_book ? colors.loss : colors['loss-soft']));

  const stress = (width) => lyingBars(width, data.stress.bars, `${data.stress.title}, ${data.stress.unit}`,
    (item) => `${item.name}\n${interval(item.value)} ${data.stress.unit}`, (item) => (item.value[0] > 0 ? colors.loss : colors.gain));

  // Deregistration ------------------------------------------------------------------------------------------------------------
  function termStructures(width) {
    const option = base(width);
    const narrow = width < 560;
    const color = (index) => colors[`s${(index % 8) + 1}`];
    const rows = Math.ceil(data.pd.length / (narrow ? 2 : 4));
    const last = Math.max(0, ...data.pd.flatMap((line) => line.points.map((point) => point[0])));
    return {
      ...option,
      legend: { ...option.legend, formatter: (name) => clipped(name, 18), width: '96%' },
      grid: { ...option.grid, top: 16 + 19 * rows },
      tooltip: {
        ...option.tooltip, trigger: 'item',
        formatter: ({ seriesName, value: at }) => {
          const line = data.pd.find((candidate) => candidate.name === seriesName);
          const point = line && line.points.find((candidate) => candidate[0] === at[0]);
          return point ? `${seriesName}\n${days(at[0])}: ${interval(point[1], percent)}` : '';
        },
      },
      xAxis: dayAxis({ max: last }),
      yAxis: axis({ min: 0, axisLabel: { formatter: (value) => percent(value) } }),
      series: data.pd.flatMap((line, index) => [
        { name: line.name, type: 'line', symbol: 'circle', symbolSize: 6, data: [[0, 0], ...line.points.map((point) => [point[0], point[1][0]])], lineStyle: { color: color(index), width: 1.8 }, itemStyle: { color: color(index) }, z: 3 },
        whiskers(line.points.filter((point) => finite(point[1])).map((point) => [point[0], point[1][1], point[1][2]]), color(index), false),
      ]),
    };
  }

  function heat(width) {
    const option = base(width);
    const { rows, days: horizons } = data.heat;
    const narrow = width < 460;
    const cells = rows.flatMap((row, y) => row.cells.map((triple, x) => ({
      value: [x, y, triple[0]], label: { color: triple[0] >= 0.5 ? colors.paper : colors.ink },
    })));
    const short = (name) => clipped(name, narrow ? 15 : 24).replace(/[{}|]/g, ' ');
    const left = 10 + longest(rows.map((row) => short(row.name)), 'bold 11px');
    const text = (triple) => (triple[0] === 0 ? '<' + number(100 * triple[2], 2) : number(100 * triple[0], triple[0] < 0.1 ? 2 : 3));
    return {
      ...option,
      legend: { show: false },
      grid: { left, right: 4, top: 26, bottom: 4, containLabel: false },
      tooltip: { ...option.tooltip, formatter: ({ value: at }) => `${rows[at[1]].name}\n${days(horizons[at[0]])}: ${interval(rows[at[1]].cells[at[0]], percent)}` },
      visualMap: { show: false, type: 'piecewise', dimension: 2, pieces: [
        { lt: 0.01, color: colors.heat0 }, { gte: 0.01, lt: 0.1, color: colors.heat1 }, { gte: 0.1, lt: 0.5, color: colors.heat2 }, { gte: 0.5, color: colors.heat3 }] },
      xAxis: axis({ type: 'category', position: 'top', data: horizons.map(days), splitLine: { show: false }, axisLine: { show: false }, axisLabel: { color: colors.soft, fontSize: 11, interval: 0, formatter: (name) => name } }),
      yAxis: axis({
        type: 'category', inverse: true, data: rows.map((row) => row.name), splitLine: { show: false }, axisLine: { show: false },
        axisLabel: {
          interval: 0, fontSize: 11, color: colors.ink, rich: { held: { fontWeight: 700, color: colors.ink, fontSize: 11 }, other: { color: colors.soft, fontSize: 11 } },
          formatter: (name, index) => `{${rows[index].held ? 'held' : 'other'}|${short(name)}}`,
        },
      }),
      series: [{
        type: 'heatmap', data: cells, itemStyle: { borderColor: colors.paper, borderWidth: 1 },
        label: { show: true, fontSize: 10.5, formatter: ({ value: at }) => text(rows[at[1]].cells[at[0]]) },
      }],
    };
  }

  // Cost of leaving -----------------------------------------------------------------------------------------------------------
  function exit(width) {
    const option = base(width);
    const sizes = [...new Set(data.exit.map((line) => line.size))];
    const color = (index) => colors[`s${(index % 8) + 1}`];
    const legendRows = Math.ceil(sizes.length / (width < 560 ? 3 : 8));
    const of = (size) => data.exit.filter((line) => line.size === size).sort((a, b) => a.days - b.days);
    return {
      ...option,
      tooltip: {
        ...option.tooltip, trigger: 'item',
        formatter: ({ seriesIndex, dataIndex }) => {
          const line = of(sizes[Math.floor(seriesIndex / 2)])[dataIndex];
          return line ? `Book \u00d7 ${line.size}, ${line.days === 0 ? 'at once' : days(line.days)}\ncost ${interval(line.cost, percent)}\nin the tail ${interval(line.tail, percent)}` : '';
        },
      },
      grid: { ...option.grid, top: 16 + 19 * legendRows },
      xAxis: dayAxis({ name: 'days of the exit; 0: at once' }),
      yAxis: axis({ min: (range) => Math.min(0, range.min), axisLabel: { formatter: (value) => percent(value) } }),
      series: sizes.flatMap((size, index) => [
        { name: `Book \u00d7 ${size}`, type: 'line', symbol: 'circle', symbolSize: 6, data: of(size).map((line) => [line.days, line.cost[0]]), lineStyle: { color: color(index), width: 1.8 }, itemStyle: { color: color(index) }, z: 3 },
        whiskers(of(size).filter((line) => finite(line.cost)).map((line) => [line.days, line.cost[1], line.cost[2]]), color(index), false),
      ]),
    };
  }

  // Drawing -------------------------------------------------------------------------------------------------------------------
  function add(id, build, rows) {
    const place = document.getElementById('chart-' + id);
    if (place) charts.push({ id, place, build, rows, chart: null });
  }

  function drawOne(entry) {
    if (entry.rows) entry.place.style.height = entry.rows + 'px';
    if (!entry.chart) entry.chart = echarts.init(entry.place, null, { renderer: 'svg' });
    entry.chart.resize();
    entry.chart.setOption(entry.build(entry.place.clientWidth), true);
  }

  function draw(id) { charts.filter((entry) => !id || entry.id === id).forEach(drawOne); }
  function redraw() { readColors(); draw(); }

  add('distribution', distribution);
  add('value', value);
  data.prices.forEach((found, index) => add(`price-${index}`, price(found)));
  add('drawdown', drawdown);
  add('components', components, 60 + 26 * data.components.length);
  add('pd', termStructures, 360);
  add('heat', heat, 36 + 21 * data.heat.rows.length);
  add('exit', exit);
  add('stress', stress, 60 + 26 * data.stress.bars.length);
  add('tail', tail, 280);
  controls();
  redraw();

  let waiting = 0;
  let width = window.innerWidth;
  window.addEventListener('resize', () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(draw, 120);
  });
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  // Paper is light, and narrower than most screens.
  window.addEventListener('beforeprint', () => {
    document.documentElement.classList.add('print');
    document.querySelectorAll('details:not([open])').forEach((details) => { details.open = true; details.dataset.closed = ''; });
    document.body.style.width = '700px';
    redraw();
  });
  window.addEventListener('afterprint', () => {
    document.documentElement.classList.remove('print');
    document.querySelectorAll('details[data-closed]').forEach((details) => { details.open = false; delete details.dataset.closed; });
    document.body.style.width = '';
    redraw();
  });
}());
