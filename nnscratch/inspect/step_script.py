"""The style and the script of the page of a training step.

Blue is forward and negative, vermilion backward and positive, green an update, of Okabe and Ito's
colours, which are told apart without red and green.
"""

from __future__ import annotations

STYLE = """
:root{--forward:#0072b2;--backward:#d55e00;--update:#009e73;color-scheme:light}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:0 auto;padding:.5rem 1rem 2rem;
 color:#111;background:#fff;overflow-wrap:anywhere}
h1{font-size:1.3rem;margin:.5rem 0}h2{font-size:1.15rem;margin:.5rem 0}
b.forward{color:var(--forward)}b.backward{color:#a84a00}b.update{color:#00664a}
button{font:inherit;font-size:.85rem;color:inherit;background:#fff;border:1px solid #767676;
 border-radius:4px;padding:.3rem .6rem;cursor:pointer}
button:disabled{opacity:.4;cursor:default}
button:focus-visible,main:focus-visible{outline:3px solid #e69f00;outline-offset:1px}
main{border:1px solid #999;border-left:6px solid var(--forward);border-radius:6px;
 padding:.2rem .8rem .6rem}
main.backward{border-left-color:var(--backward)}main.update{border-left-color:var(--update)}
nav{display:flex;flex-wrap:wrap;gap:.3rem;margin-top:.8rem}
nav h2{flex:0 0 100%;margin:.4rem 0 0;font-size:1rem}
nav button{border-left:5px solid var(--forward);max-width:100%}
nav button.backward{border-left-color:var(--backward)}
nav button.update{border-left-color:var(--update)}
nav button[aria-current]{background:#ddd;font-weight:600}
.equation{font-size:1.15rem;margin:.4rem 0;overflow-x:auto;overflow-y:hidden;padding:.1rem 0}
mtable{text-align:left}mtd{padding:.1em .4em .1em 0;text-align:left}
.array{margin:.5rem 0;overflow-x:auto}.array svg{display:block;max-width:100%;height:auto}
.pictures{display:flex;flex-wrap:wrap;gap:.8rem;align-items:end}
table{border-collapse:collapse;border:solid #111;border-width:0 2px;border-radius:4px;
 margin:.2rem 0}
td{padding:.1rem .45rem;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.block{display:inline-block;vertical-align:top;margin-right:.6rem;font-size:.9rem}
small{color:#444}
"""

SCRIPT = r"""
const data=JSON.parse(document.getElementById('data').textContent),all=data.steps,
main=document.getElementById('step'),rail=document.getElementById('rail'),
back=document.getElementById('back'),on=document.getElementById('on');
const ways=['forward','backward','update','backward'];
let at=0;
function put(parent,tag,text,kind){const e=document.createElement(tag);
 if(text!==undefined)e.textContent=text;if(kind)e.className=kind;parent.append(e);return e}
function svg(parent,tag,values){
 const e=document.createElementNS('http://www.w3.org/2000/svg',tag);
 for(const k in values)e.setAttribute(k,values[k]);parent.append(e);return e}
function digits(x){return typeof x==='string'?x:String(Number(x.toPrecision(4)))}
function label(name,gradient){return gradient?'∂L/∂'+name.slice(1):name}
function picture(parent,width,height,words){
 const s=svg(parent,'svg',{viewBox:`0 0 ${width} ${height}`,width,height,role:'img'});
 svg(s,'title',{}).textContent=words;return s}
function matrix(parent,shape,values){
 const columns=shape.length?shape[shape.length-1]:1,
 rows=shape.length>1?shape[shape.length-2]:1,size=rows*columns;
 for(let start=0;start<values.length;start+=size){
  const block=put(parent,'div',undefined,'block');
  if(values.length>size){let rest=start/size,index=[];
   for(const n of shape.slice(0,-2).reverse()){index.unshift(rest%n);rest=Math.floor(rest/n)}
   put(block,'small','['+index.join(', ')+']')}
  const table=put(block,'table');
  for(let r=0;r<rows;r++){const line=put(table,'tr');
   for(let c=0;c<columns;c++)put(line,'td',digits(values[start+r*columns+c]))}}}
function bars(parent,bins,low,high){
 const most=Math.max(...bins),s=picture(parent,bins.length*12,78,
  `Histogram from ${digits(low)} to ${digits(high)}`);
 bins.forEach((n,i)=>svg(s,'rect',{x:i*12,y:62-60*n/most,width:11,height:60*n/most,
  fill:'#56b4e9'}));
 svg(s,'path',{d:`M0 62.5H${bins.length*12}`,stroke:'#111'});
 const one=svg(s,'text',{x:0,y:76,'font-size':12});one.textContent=digits(low);
 const two=svg(s,'text',{x:bins.length*12,y:76,'font-size':12,'text-anchor':'end'});
 two.textContent=digits(high)}
function colour(level){const t=Math.abs(level)/12,to=level<0?[0,114,178]:[213,94,0];
 return 'rgb('+to.map(c=>Math.round(255+(c-255)*t)).join()+')'}
function heat(parent,rows,frame){
 const side=10,s=picture(parent,rows[0].length*side,rows.length*side,
  'Heat map: blue is negative, white 0, vermilion positive');
 rows.forEach((row,r)=>[...row].forEach((letter,c)=>svg(s,'rect',{x:c*side,y:r*side,width:side,
  height:side,stroke:'#ccc','stroke-width':.5,fill:colour(letter.charCodeAt(0)-77)})));
 if(frame.length)svg(s,'rect',{x:frame[1]*side,y:frame[0]*side,width:frame[3]*side,
  height:frame[2]*side,fill:'none',stroke:'#111','stroke-width':2.5})}
function array(parent,[name,index],gradient){
 const [shape,dtype,values,[low,mean,high],odd,bins,map,frame]=data.arrays[index],
 box=put(parent,'div',undefined,'array'),line=put(box,'div');
 put(line,'b',label(name,gradient));
 put(line,'small',' ('+shape.join(', ')+(shape.length==1?',':'')+') '+dtype);
 if(values.length){matrix(box,shape,values);if(!map)return}
 if(low!=='nan'&&!values.length)put(line,'span',
 ` min ${digits(low)}, mean ${digits(mean)}, max ${digits(high)}`);
 if(odd)put(line,'b',` ${odd} not finite`);
 if(bins.length||map){const both=put(box,'div',undefined,'pictures');
  if(bins.length)bars(both,bins,low,high);if(map)heat(both,map.split('/'),frame)}}
function equation(parent,parts){
 for(const part of parts)put(parent,'div',undefined,'equation').innerHTML=part}
function show(to){
 at=Math.max(0,Math.min(all.length-1,to));
 const [name,way,where,ran,inputs,outputs,options,closer]=all[at],backward=way===1,
 formula=data.formulas[name];
 main.textContent='';main.className=ways[way];
 put(main,'h2',`${at+1} of ${all.length} · ${ways[way]} · ${where} · ${name}`);
 if(backward){const asked=outputs.map(([n])=>n.slice(1));
  for(const key in formula.backward)
   if(asked.some(n=>n===key||n.startsWith(key+"["))){
    equation(main,formula.backward[key]);
    withNumbers(main,formula.backward[key],inputs,outputs,true)}}
 else{equation(main,formula.forward);
  // An update has two values of each name.
  if(way!==2)withNumbers(main,formula.forward,inputs,outputs,false)}
 if(options)put(main,'small',options);
 put(main,'h2',['In','Comes from above, and was saved by the forward','Before','In'][way]);
 inputs.forEach((one,i)=>array(main,one,backward&&/^d[A-Z]/.test(one[0])));
 put(main,'h2',['Out','Gradients','After','Out'][way]);
 outputs.forEach(one=>array(main,one,backward));
 if(closer.length)put(main,'h2','A closer look');
 closer.forEach(one=>array(main,one,false));
 put(main,'small',`ran: ${ran} · written in ${formula.code[backward?1:0]}`);
 marked();back.disabled=at===0;on.disabled=at===all.length-1;
 for(const button of rail.querySelectorAll('button')){
  if(Number(button.dataset.at)===at)button.setAttribute('aria-current','step');
  else button.removeAttribute('aria-current')}}
let before='';
all.forEach(([name,way,where],i)=>{
 if(ways[way]!==before){put(rail,'h2',ways[way][0].toUpperCase()+ways[way].slice(1));
  before=ways[way]}
 const button=put(rail,'button',where===name?name:where+' · '+name,ways[way]);
 button.dataset.at=i;button.onclick=()=>show(i)});
back.onclick=()=>show(at-1);on.onclick=()=>show(at+1);
addEventListener('keydown',event=>{
 const to={ArrowRight:at+1,ArrowLeft:at-1,Home:0,End:all.length-1}[event.key];
 if(to===undefined||event.ctrlKey||event.metaKey||event.altKey)return;
 event.preventDefault();show(to)});
"""

FIRST = "show(0);\n"
"""Runs last, when all functions are there."""
